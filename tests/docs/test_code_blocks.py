"""Every code block of the README and of docs/ runs and shows what is true."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.document import read_document
from tests.docs.session import Session

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    *sorted(ROOT.glob("README.md")),
    *sorted(ROOT.glob("bali-*/README.md")),
    ROOT / "CONTRIBUTING.md",
    *sorted(ROOT.glob("docs/**/*.md")),
]


@pytest.mark.parametrize(
    "document", DOCUMENTS, ids=[str(path.relative_to(ROOT)) for path in DOCUMENTS]
)
def test_document_holds(document: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    def postgres() -> str:
        return str(request.getfixturevalue("postgres_url"))

    folder = tmp_path / document.stem
    folder.mkdir()
    with Session(document, folder, postgres=postgres) as session:
        session.run(read_document(document))
