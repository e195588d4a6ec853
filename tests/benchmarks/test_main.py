"""The command line of `python -m benchmarks`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import benchmarks.__main__ as command
from benchmarks import filters, pages
from benchmarks.__main__ import main, parser, report
from benchmarks.results import Result, compared, missed, write_json
from benchmarks.suites import Context, Suite, chosen_cases


def test_all_cases_are_chosen_by_default() -> None:
    names = chosen_cases("")
    assert len(names) == len(set(names))
    for protocol in ("gRPC", "REST"):
        for call in ("get", "list(20)", "list(100)", "create", "update", "constant action"):
            assert f"{protocol} {call}" in names
    for name in ("generated client", "cost per row", "memory", "cold start", "p99 REST get"):
        assert name in names


def test_cases_are_chosen_by_parts_of_their_names() -> None:
    assert chosen_cases("memory, cold") == ["memory", "cold start"]
    assert chosen_cases("REST list") == [
        "REST list(20)", "REST list(100)", "REST list(20) on one port",
        "REST list(100) by 2 workers", "p99 REST list(20)",
    ]  # fmt: skip
    assert chosen_cases("nothing") == []


def test_defaults_are_five_rounds_of_three_seconds() -> None:
    options = parser().parse_args([])
    assert (options.rounds, options.seconds, options.strict) == (5, 3, False)


@pytest.mark.parametrize("make", [parser, pages.parser, filters.parser])
def test_help_has_examples(make: object) -> None:
    assert callable(make)
    assert "example" in make().format_help()


@pytest.mark.parametrize("arguments", [["--rounds", "0"], ["--seconds", "x"], ["--wrong"]])
def test_wrong_arguments_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_the_list_of_cases_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "--cases", "cold"]) == 0
    assert capsys.readouterr().out == "cold start\n"


def test_an_unknown_case_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--cases", "nothing"]) == 2
    assert "--list" in capsys.readouterr().err


def test_missing_tools_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main([]) == 2
    error = capsys.readouterr().err
    assert "wrk and h2load are not installed" in error
    assert "apt-get install wrk nghttp2-client" in error


def test_a_report_names_what_is_missed(tmp_path: Path) -> None:
    found = [compared("REST get", "by hand", "calls/s", [10.0, 30.0], [20.0, 20.0], target=4.0)]
    assert report(found, tmp_path / "now.json") == [
        "REST get against by hand: 1.00, wanted at least 4.00"
    ]


def test_results_are_written_with_what_they_were_measured_with(tmp_path: Path) -> None:
    found = [compared("REST get", "by hand", "calls/s", [10.0, 30.0], [20.0, 20.0], target=4.0)]
    path = tmp_path / "new" / "now.json"
    write_json(path, found, {"rounds": "2", "measured": ["REST get"]}, {"peer": "1.0"})
    content = json.loads(path.read_text())
    assert content["missed"] == missed(found)
    assert content["options"] == {"rounds": "2", "measured": ["REST get"]}
    assert content["versions"] == {"peer": "1.0"}
    assert content["results"][0]["ratio"] == 1.0
    assert content["results"][0]["is_met"] is False


def test_what_was_measured_outlasts_a_suite_that_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = compared("memory", "by hand", "MiB", [10.0], [10.0])

    def breaks(names: Sequence[str], context: Context) -> list[Result]:
        raise RuntimeError("a mistake of ours")

    @contextlib.contextmanager
    def folder_alone() -> Iterator[dict[str, str]]:
        yield {"BENCH_STUBS": str(tmp_path)}

    monkeypatch.setattr(command, "stage", folder_alone)
    monkeypatch.setattr(command, "messages", lambda _: None)
    monkeypatch.setattr(command, "missing_tools", str)
    suites = (
        Suite(names=("memory",), run=lambda *_: [kept]),
        Suite(names=("cold start",), run=breaks),
    )
    monkeypatch.setattr(command, "SUITES", suites)
    with pytest.raises(RuntimeError):
        main(["--cases", "memory,cold", "--results", str(tmp_path / "results")])
    (path,) = (tmp_path / "results").glob("*.json")
    assert [item["case"] for item in json.loads(path.read_text())["results"]] == ["memory"]
