"""What the folder of an ablation has said before: who looks again and again finds a difference too often."""

from __future__ import annotations

import json
from pathlib import Path

from genograph.atomic import replacing

FILE = "answers.json"


def noted(folder: Path, asked: str, label: str) -> list[str]:
    """Note what is said; returns a warning that lists what was said to other questions, if anything was.

    Args:
        folder: Of the ablation.
        asked: About what and on what, such as `expression: 160 genes in 20 blocks of 1 fold, 5 seeds`.
        label: Of the verdict.
    """
    file = folder / FILE
    answers = json.loads(file.read_text()) if file.is_file() else {}
    others = [f"{question}: {answer}" for question, answer in answers.items() if question != asked]
    with replacing(file) as written:
        written.write_text(json.dumps({**answers, asked: label}, indent=2))
    if not others:
        return []
    listed = "; ".join(others)
    return [f"this folder has answered before ({listed}). To look until a difference is clear finds one too often."]
