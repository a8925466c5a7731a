"""A server of the official Python SDK over HTTP that wants a token, and whose streams may be continued.

    guarded.py PORT TOKEN [CERTIFICATE KEY]    with a certificate over TLS

`slow` closes its stream twice before it answers. A client has to ask for the rest.
"""
import sys

import anyio
import uvicorn
from mcp.server import MCPServer
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import Context
from mcp.server.streamable_http import EventMessage, EventStore

PORT, TOKEN, *TLS = sys.argv[1:]
URL = f"{'https' if TLS else 'http'}://localhost:{PORT}"


class Verifier:
    async def verify_token(self, token):
        return AccessToken(token=token, client_id="test", scopes=[]) if token == TOKEN else None


class Store(EventStore):
    def __init__(self):
        self.events = []

    async def store_event(self, stream_id, message):
        self.events.append((stream_id, message))
        return str(len(self.events) - 1)

    async def replay_events_after(self, last_event_id, send_callback):
        place = int(last_event_id)
        stream = self.events[place][0]
        for number, (of, message) in enumerate(self.events):
            if number > place and of == stream and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


auth = AuthSettings(issuer_url=URL, resource_server_url=URL, validate_token_resource=False)
app = MCPServer("guarded", token_verifier=Verifier(), auth=auth)


@app.tool()
async def slow(text: str, context: Context) -> str:
    """Answers after its stream has ended twice."""
    for _ in range(2):
        await context.close_sse_stream()
        await anyio.sleep(0.2)
    return text


if __name__ == "__main__":
    http = app.streamable_http_app(event_store=Store(), retry_interval=50, host="127.0.0.1")
    tls = {"ssl_certfile": TLS[0], "ssl_keyfile": TLS[1]} if TLS else {}
    uvicorn.run(http, host="127.0.0.1", port=int(PORT), log_level="warning", **tls)
