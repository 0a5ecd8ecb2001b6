"""Hash the runs of seven words of articles, so that the lint can tell a copied sentence without holding the articles.

    python scripts/hash_articles.py ARTICLE... > schedules/lint/shingles.txt

Each argument is a text file in any language: give a translation too, and copies in that language are found as well.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from schedules.lint import copying  # noqa: E402  # the path comes first


def main(paths: list[str]) -> None:
    """Print the hashes of all `paths`, sorted, each once."""
    if not paths:
        sys.exit("name the articles: python scripts/hash_articles.py ARTICLE... > schedules/lint/shingles.txt")
    found = {digest for path in paths for digest in copying.hashes(Path(path).read_text(encoding="utf-8"))}
    sys.stdout.write(f"# Hashes of runs of {copying.RUN} words of {len(paths)} texts, by scripts/hash_articles.py.\n")
    sys.stdout.writelines(f"{digest}\n" for digest in sorted(found))


if __name__ == "__main__":
    main(sys.argv[1:])
