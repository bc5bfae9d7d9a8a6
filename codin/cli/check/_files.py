"""The report for machines: JSON, JUnit, and a badge."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, tostring
from xml.sax.saxutils import escape

from codin.cli._terminal import plain
from codin.cli.check._json import Json
from codin.cli.check._report import Report, Result
from codin.cli.check._rules import rules
from codin.cli.check._verdict import Finding, Outcome
from codin.errors import ConfigError

__all__ = ["as_json", "badge", "junit", "junit_without_report", "write_file"]


def as_json(report: Report) -> str:
    """One object with everything that was found out."""
    agent = report.agent
    held, looked_at = report.held
    document = {
        "agent": report.name,
        "card": agent.address,
        "version": "1.0",
        "bindings": list(agent.wires),
        "unreached": {**agent.lost, **agent.unasked},
        "held": held,
        "of": looked_at,
        "counts": {outcome.value: report.counts[outcome] for outcome in Outcome},
        "results": [_result(each) for each in report.results],
    }
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def _result(result: Result) -> Json:
    found: Json = {
        "check": result.check.name,
        "title": result.check.title,
        "rules": list(result.check.rules),
        "binding": result.binding or None,
        "outcome": result.outcome.value,
        "seconds": round(result.took, 3),
    }
    if result.why:
        found["why"] = result.why
    if result.findings:
        found["findings"] = [_finding(each) for each in result.findings]
    return found


def _finding(finding: Finding) -> Json:
    level, section, sentence = rules()[finding.rule]
    return {
        "rule": finding.rule,
        "level": level,
        "section": section,
        "sentence": sentence,
        "expected": finding.expected,
        "sent": finding.sent,
        "received": finding.received,
    }


def junit(report: Report) -> str:
    """A file that CI systems show as tests: a suite per binding."""
    root = Element("testsuites", name=f"A2A v1.0: {plain(report.name)}")
    for binding in dict.fromkeys(result.binding for result in report.results):
        found = [result for result in report.results if result.binding == binding]
        suite = SubElement(
            root,
            "testsuite",
            name=binding or "the card",
            tests=str(len(found)),
            failures=str(sum(each.outcome is Outcome.FAILED for each in found)),
            skipped=str(sum(each.outcome is Outcome.UNCHECKED for each in found)),
            errors="0",
            time=f"{sum(each.took for each in found):.3f}",
        )
        for result in found:
            _add_case(suite, result)
    if not report.held[1]:
        unreached = {**report.agent.lost, **report.agent.unasked}
        _add_error(root, "; ".join(f"{binding}: {why}" for binding, why in unreached.items()) or "nothing was checked")
    return _document(root)


def junit_without_report(url: str, why: str) -> str:
    """The same where nothing could be asked: an error, so that nobody takes it for a success."""
    root = Element("testsuites", name=f"A2A v1.0: {plain(url)}")
    _add_error(root, why)
    return _document(root)


def _document(root: Element) -> str:
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _add_error(root: Element, why: str) -> None:
    counts = {"tests": "1", "failures": "0", "skipped": "0", "errors": "1", "time": "0"}
    suite = SubElement(root, "testsuite", {"name": "the server", **counts})
    case = SubElement(suite, "testcase", classname="a2a", name="something-to-check", time="0")
    SubElement(case, "error", message=_clean(why))


def _add_case(suite: Element, result: Result) -> None:
    group = f"a2a.{result.check.group}.{result.binding or 'card'}"
    case = SubElement(suite, "testcase", classname=group, name=result.check.name, time=f"{result.took:.3f}")
    words = "\n\n".join(map(_words, result.findings))
    if result.outcome is Outcome.FAILED:
        failure = SubElement(case, "failure", message=_clean(result.check.title), type=result.findings[0].rule)
        failure.text = _clean(words)
    elif result.outcome is Outcome.UNCHECKED:
        SubElement(case, "skipped", message=_clean(result.why))
    elif words:
        SubElement(case, "system-out").text = _clean(words)


def _words(finding: Finding) -> str:
    rule = rules()[finding.rule]
    lines = (
        f"{finding.rule} ({rule.level}, section {rule.section}): {rule.sentence}",
        f"expected: {finding.expected}",
        f"sent: {finding.sent}",
        f"got: {finding.received}",
    )
    return "\n".join(lines)


def _clean(text: str) -> str:
    """Without what XML cannot hold."""
    return "".join(each for each in plain(text) if each not in "\ufffe\uffff" and not "\ud800" <= each <= "\udfff")


_LABEL = "A2A v1.0"
_LETTER = 7
_GREEN, _RED = "#2e7d32", "#c62828"
_BADGE = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" aria-label="{label}: {words}">
<title>{label}: {words}</title>
<rect width="{width}" height="20" rx="4" fill="#37474f"/>
<path d="M{left} 0h{inner}a4 4 0 0 1 4 4v12a4 4 0 0 1-4 4H{left}z" fill="{colour}"/>
<g fill="#fff" font-family="system-ui,sans-serif" font-size="11" text-anchor="middle">
<text x="{middle}" y="14">{label}</text>
<text x="{other}" y="14">{words}</text>
</g>
</svg>
"""


def badge(report: Report) -> str:
    """A small picture of how many checks keep every MUST."""
    held, looked_at = report.held
    words = f"{held}/{looked_at}"
    left, right = len(_LABEL) * _LETTER + 12, len(words) * _LETTER + 12
    return _BADGE.format(
        label=_LABEL,
        words=escape(words),
        width=left + right,
        left=left,
        inner=right - 4,
        middle=left / 2,
        other=left + right / 2,
        colour=_GREEN if looked_at and held == looked_at else _RED,
    )


def write_file(path: Path, text: str) -> None:
    """Write it. Raises ConfigError when that cannot be done."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{str(path)!r} cannot be written: {error.strerror or error}") from None
