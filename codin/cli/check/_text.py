"""The report for a person: what holds in a line per group, what does not in all its length."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from codin.cli._terminal import plain, results, show
from codin.cli.check._check import Check
from codin.cli.check._report import Report, Result
from codin.cli.check._rules import groups, rules
from codin.cli.check._verdict import Finding, Outcome

__all__ = ["show_checks", "show_report", "summary"]

_STYLES = {Outcome.FAILED: "bold red", Outcome.WARNED: "yellow"}
_WORDS = {Outcome.FAILED: "FAILED", Outcome.WARNED: "warned"}
_INDENT = 12


def show_report(report: Report) -> None:
    """Print it on standard output."""
    show(f"{report.name}  {report.agent.address}", "bold")
    show(f"A2A v1.0 over {', '.join(report.agent.wires) or 'no binding that could be checked'}")
    for group, found in _by_group(report.results):
        _show_group(group, found)
    _show_unchecked(report)
    results().print()
    show(summary(report), "bold red" if report.counts[Outcome.FAILED] else "bold green")


def summary(report: Report) -> str:
    """The last line."""
    counts = report.counts
    held, looked_at = report.held
    said = [f"A2A v1.0: {held} of {looked_at} checks keep every MUST"]
    said += [f"{counts[Outcome.FAILED]} failed"] if counts[Outcome.FAILED] else []
    said += [f"{counts[Outcome.WARNED]} with a recommendation not kept"] if counts[Outcome.WARNED] else []
    said += [f"{counts[Outcome.UNCHECKED]} could not be checked"] if counts[Outcome.UNCHECKED] else []
    return "; ".join(said)


def _by_group(found: Sequence[Result]) -> Iterator[tuple[str, list[Result]]]:
    for group in groups():
        of_group = [result for result in found if result.check.group == group]
        if any(result.outcome is not Outcome.UNCHECKED for result in of_group):
            yield group, of_group


def _show_group(group: str, found: Sequence[Result]) -> None:
    counts = Counter(result.outcome for result in found)
    said = ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome])
    results().print()
    show(f"{groups()[group]}: {said}")
    for result in found:
        if result.outcome in _WORDS:
            _show_result(result)


def _show_result(result: Result) -> None:
    name = " ".join(filter(None, [result.check.name, result.binding and f"({result.binding})"]))
    show(f"{name}: {result.check.title}", _STYLES[result.outcome], label=f"  {_WORDS[result.outcome]}", indent=_INDENT)
    for finding in result.findings:
        _show_finding(finding)


def _show_finding(finding: Finding) -> None:
    rule = rules()[finding.rule]
    show(f"{finding.rule}, {rule.level}, section {rule.section}: {rule.sentence}", label="    rule", indent=_INDENT)
    show(finding.expected, label="    expected", indent=_INDENT + 2)
    if finding.sent:
        show(finding.sent, "dim", label="    sent", indent=_INDENT)
    show(finding.received, "dim", label="    got", indent=_INDENT)


def _show_unchecked(report: Report) -> None:
    """What could not be found out, by the reason."""
    reasons: defaultdict[str, list[str]] = defaultdict(list)
    for result in report.results:
        if result.outcome is Outcome.UNCHECKED:
            names = reasons[result.why]
            if result.check.name not in names:
                names.append(result.check.name)
    for binding, why in report.agent.unasked.items():
        reasons[why].append(f"everything over {binding}")
    if reasons:
        results().print()
        show("Could not be checked")
    for why, names in reasons.items():
        show(plain(why), label="  ", indent=2)
        show(", ".join(names), "dim", label="    ", indent=4)


def show_checks(checks: Sequence[Check]) -> None:
    """A table of checks, by their groups."""
    for group, title in groups().items():
        of_group = [check for check in checks if check.group == group]
        if not of_group:
            continue
        show(f"{title} ({group})", "bold")
        for check in of_group:
            show(check.title, label=f"  {check.name}", indent=30)
            show(", ".join(check.rules), "dim", label="", indent=30)
        results().print()
