"""The command line of `python -m benchmarks`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import filters, pages
from benchmarks.__main__ import main, parser, report
from benchmarks.results import compared
from benchmarks.suites import chosen_cases


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
    assert chosen_cases("REST list") == ["REST list(20)", "REST list(100)", "p99 REST list(20)"]
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


def test_a_report_writes_json_and_names_what_is_missed(tmp_path: Path) -> None:
    found = [compared("REST get", "by hand", "calls/s", [10.0, 30.0], [20.0, 20.0], target=4.0)]
    missed = report(found, ["REST get"], {"rounds": 2}, {"peer": "1.0"}, tmp_path / "new")
    assert missed == ["REST get against by hand: 1.00, wanted at least 4.00"]
    (path,) = (tmp_path / "new").glob("*.json")
    content = json.loads(path.read_text())
    assert content["missed"] == missed
    assert content["options"] == {"rounds": "2", "measured": ["REST get"]}
    assert content["versions"] == {"peer": "1.0"}
    assert content["results"][0]["ratio"] == 1.0
    assert content["results"][0]["is_met"] is False
