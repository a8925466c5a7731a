"""OpenEnv's probe of what an endpoint can return. Prints its report."""

import dataclasses
import json

from openenv.core.harness.capture.validate_llm import validate_llm

from session import URL

print(json.dumps(dataclasses.asdict(validate_llm(URL, "tiny", api_key="probe"))))
