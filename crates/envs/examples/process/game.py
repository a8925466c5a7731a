"""A game of TextArena (`pip install textarena`) for one player, as a conversation.

    command = ["python3", "game.py", "TowerOfHanoi-v0"]

The player's turn is a move; the next message is what the game says to it. A move that the game refuses earns
`refused`, and the end of the game earns its own reward, `game`. A game that is won is `acc`.
"""

import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4] / "python"))

import textarena
import turnwise_env
from turnwise_env import Step, Task

NAME = sys.argv[1] if sys.argv[1:] and not sys.argv[1].startswith("-") else "TowerOfHanoi-v0"


class Game(turnwise_env.Env):
    train, held_out = 1000, 100

    def reset(self, split, index, seed):
        # Games draw from the module `random`, which the sessions of a process share: each has its state.
        random.seed(seed)
        self.game = textarena.make(NAME)
        self.game.reset(num_players=1, seed=seed)
        self.read = ""
        opening = self.news()
        self.drawn = random.getstate()
        return Task(f"{NAME}/{split}/{index}", opening)

    def news(self):
        """Returns what the game has said since the last turn."""
        _, text = self.game.get_observation()
        news = text[len(self.read):] if text.startswith(self.read) else text
        self.read = text
        return news.strip()

    def step(self, text, calls, malformed):
        random.setstate(self.drawn)
        done, _ = self.game.step(text)
        news = "" if done else self.news()
        self.drawn = random.getstate()
        if not done:
            return Step([], {"refused": -0.1} if "invalid move" in news else {}, message=news)
        reward = float(self.game.close()[0][0])
        return Step([], {"game": reward, "acc": float(reward >= 1.0)}, done=True)


if __name__ == "__main__":
    turnwise_env.serve(Game)
