"""The runner of documents is itself right: it passes what is true and fails what is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.document import DocumentError, read_document
from tests.docs.session import Session

SERVER = """```python title=main.py
import http.server
import signal
import sys

GREETING = "hello"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(GREETING.encode())

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    port = int(sys.argv[sys.argv.index("--port") + 1])
    with http.server.HTTPServer(("127.0.0.1", port), Handler) as server:
        server.serve_forever()
```
"""

Follow = Callable[[str], Path]


@pytest.fixture
def follow(tmp_path: Path) -> Follow:
    def run(text: str) -> Path:
        document = tmp_path / "page.md"
        document.write_text(text)
        folder = tmp_path / "page"
        folder.mkdir(exist_ok=True)
        with Session(document, folder) as session:
            session.run(read_document(document))
        return folder

    return run


def test_python_blocks_share_one_session(follow: Follow) -> None:
    follow("```python\nx = 1\n```\n\ntext\n\n```python\nassert x == 1\n```\n")


def test_a_wrong_python_block_fails_at_its_line(follow: Follow) -> None:
    with pytest.raises(DocumentError, match=r"page\.md:3: the block failed") as failure:
        follow("text\n\n```python\nx = 1\nassert x == 2\n```\n")
    assert 'page.md", line 5' in str(failure.value)
    assert "assert x == 2" in str(failure.value)


def test_a_warning_fails(follow: Follow) -> None:
    with pytest.raises(DocumentError, match="DeprecationWarning: old"):
        follow("```python\nimport warnings\n\nwarnings.warn('old', DeprecationWarning)\n```\n")


def test_a_block_that_ends_the_process_fails(follow: Follow) -> None:
    with pytest.raises(DocumentError, match="the Python session ended"):
        follow("```python\nimport os\n\nos._exit(0)\n```\n")


def test_files_are_written_and_their_names_are_there(follow: Follow) -> None:
    folder = follow(
        "```python title=models/user.py\nNAME = 'ann'\n```\n\n"
        "```python title=main.py\nfrom models.user import NAME\n```\n\n"
        "```python\nassert NAME == 'ann'\n```\n"
    )
    assert (folder / "models" / "user.py").read_text() == "NAME = 'ann'\n"


def test_a_written_file_that_nothing_runs_is_imported(follow: Follow) -> None:
    with pytest.raises(DocumentError, match=r"(?s)page\.md:1: .*no_such_package"):
        follow("```python title=main.py\nimport no_such_package\n```\n")


def test_a_service_in_a_folder_imports_from_there(follow: Follow) -> None:
    follow(
        "```python title=order/main.py\nimport models\n```\n\n"
        "```python title=order/models.py\nNAME = 1\n```\n\n"
        "```python\nassert NAME == 1\n```\n"
    )


def test_console_output_is_compared(follow: Follow) -> None:
    follow("```console\n$ echo one two three\none ... three\n$ cd / \n$ pwd\n/\n```\n")


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("$ echo one\ntwo\n", r"page\.md:2: \$ echo one\nexpected:\ntwo\nprinted:\none"),
        ("$ echo one\nonly ... dots\n", "printed:\none"),
        ("$ exit 3\n", r"page\.md:2: .*\nended with 3, not 0"),
        ("$ true  # exits 2\n", "ended with 0, not 2"),
        ("one\n", "begins with a `\\$ ` line"),
        ("", "block is empty"),
    ],
    ids=["other", "wildcard", "exit code", "wanted exit code", "no prompt", "empty"],
)
def test_a_wrong_console_block_fails(follow: Follow, block: str, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        follow(f"```console\n{block}```\n")


def test_a_wanted_exit_code_and_continued_lines(follow: Follow) -> None:
    follow("```console\n$ exit 3  # exits 3\n$ echo one \\\n> two\none two\n```\n")


def test_bash_blocks_have_to_succeed(follow: Follow) -> None:
    with pytest.raises(DocumentError, match="ended with 1, not 0"):
        follow("```bash\ncd /\nfalse\n```\n")


def test_a_server_is_started_on_a_free_port_and_stopped(follow: Follow) -> None:
    follow(
        SERVER
        + "<!-- serves: main.py -->\n```console\n$ curl -sS localhost:8000\nhello\n```\n"
        + "```python\nimport urllib.request\n\n"
        + 'with urllib.request.urlopen("http://localhost:8000") as answer:\n'
        + "    assert answer.read().decode() == GREETING\n```\n"
    )


def test_a_server_gets_variables_and_a_real_database(tmp_path: Path) -> None:
    document = tmp_path / "guide.md"
    document.write_text(
        SERVER.replace('GREETING = "hello"', "import os\n\nGREETING = os.environ['DATABASE_URL']")
        + "<!-- serves: DATABASE_URL=postgresql://user@db.example/x main.py -->\n"
        "```console\n$ curl -sS localhost:8000\npostgresql://real/y\n```\n"
    )
    folder = tmp_path / "guide"
    folder.mkdir()
    with Session(document, folder, postgres=lambda: "postgresql://real/y") as session:
        session.run(read_document(document))


def test_a_wrong_answer_of_a_server_fails(follow: Follow) -> None:
    with pytest.raises(DocumentError, match="expected:\nbye\nprinted:\nhello"):
        follow(
            SERVER + "<!-- serves: main.py -->\n```console\n$ curl -s localhost:8000\nbye\n```\n"
        )


def test_a_server_that_does_not_start_fails(follow: Follow) -> None:
    with pytest.raises(DocumentError, match=r"main\.py does not serve \(exit code 1\)\n.*boom"):
        follow(
            "```python title=main.py\nimport sys\n\nsys.exit('boom')\n```\n"
            "<!-- serves: main.py -->\n```console\n$ true\n```\n"
        )


def test_a_skip_needs_a_reason(follow: Follow) -> None:
    follow("<!-- skip: would wipe the disk -->\n```bash\nexit 1\n```\n")
    with pytest.raises(DocumentError, match="<!-- skip: --> says nothing"):
        follow("<!-- skip: -->\n```bash\nexit 1\n```\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- skpi: x -->\n```bash\ntrue\n```\n", "<!-- skpi: --> is unknown"),
        ("<!-- skip: x -->\n\nwords\n\n```bash\ntrue\n```\n", "stands before no block"),
        ("```\ntrue\n```\n", "has no language"),
        ("```rust\ntrue\n```\n", "nothing runs 'rust'"),
        ("```python name=x\ntrue\n```\n", "'name=x' is not understood"),
        ("```json\n{,}\n```\n", "not json"),
        ("```toml\n=\n```\n", "not toml"),
    ],
)
def test_what_is_not_understood_is_refused(follow: Follow, text: str, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        follow(text)
