"""Writes the specification of an Autobahn run and judges its report.

A run passes when the report has exactly the expected number of cases in each group and each case
is OK, or INFORMATIONAL where the suite itself defines the case so. The number is checked because
a run that was cut short looks like a good one otherwise.
"""

import argparse
import collections
import json
import sys
import unittest

# Cases of autobahntestsuite 25.10.1 by group. Groups 8 and 11 do not exist.
CASES = {1: 16, 2: 11, 3: 7, 4: 10, 5: 20, 6: 145, 7: 37, 9: 54, 10: 1, 12: 90, 13: 126}
# Of groups 12 and 13, compression: the cases with messages of 128 KiB, which take two thirds of the
# time. Each is there as often as the group has sets of parameters.
LARGE = {10, 15, 16, 17, 18}
SETS = {12: 5, 13: 7}
# Their outcome depends on behaviour that RFC 6455 leaves open.
INFORMATIONAL = {"7.1.6", "7.13.1", "7.13.2"}
COLUMNS = ["OK", "NON-STRICT", "INFORMATIONAL", "FAILED", "UNIMPLEMENTED"]
AGENT = "server"


def parse_groups(text):
    """Turns '1-3,9' into [1, 2, 3, 9]."""
    groups = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        groups.extend(range(int(first), int(last or first) + 1))
    unknown = [group for group in groups if group not in CASES]
    if unknown or not groups:
        raise argparse.ArgumentTypeError(f"no such groups: {unknown}")
    return groups


def number_of_cases(group, quick):
    """How many cases of a group are to run."""
    return CASES[group] - (len(LARGE) * SETS.get(group, 0) if quick else 0)


def left_out(groups, quick):
    """The cases that a quick run does without."""
    sets = [f"{group}.{number + 1}" for group in groups for number in range(SETS.get(group, 0))]
    return [f"{prefix}.{case}" for prefix in sets for case in sorted(LARGE)] if quick else []


def specification(groups, url, quick=False):
    """The suite's own file format; a trailing `.*` takes a whole group."""
    return {
        "outdir": ".",
        "servers": [{"agent": AGENT, "url": url}],
        "cases": [f"{group}.*" for group in groups],
        "exclude-cases": left_out(groups, quick),
        "exclude-agent-cases": {},
    }


def is_good(case_id, outcome):
    """True if this outcome of `behavior` or `behaviorClose` is as it must be."""
    return outcome == "OK" or (outcome == "INFORMATIONAL" and case_id in INFORMATIONAL)


def sort_key(case_id):
    """The numbers of a case id, so that 1.10 follows 1.9."""
    return [int(part) for part in case_id.split(".")]


def judge(cases, groups, quick=False):
    """Returns the lines to print and whether the run passes."""
    expected = {group: number_of_cases(group, quick) for group in groups}
    found = collections.Counter(sort_key(case_id)[0] for case_id in cases)
    lines, passed = table(cases, expected, found), True
    for group in sorted(set(expected) | set(found)):
        if found[group] != expected.get(group, 0):
            passed = False
            lines.append(
                f"group {group}: {found[group]} cases, must be {expected.get(group, 0)}"
            )
    for case_id in sorted(cases, key=sort_key):
        outcomes = cases[case_id].get("behavior"), cases[case_id].get("behaviorClose")
        if all(is_good(case_id, outcome) for outcome in outcomes):
            if outcomes != ("OK", "OK"):
                lines.append(f"case {case_id}: informational")
        else:
            passed = False
            lines.append(f"case {case_id}: behavior {outcomes[0]}, close {outcomes[1]}")
    return lines, passed


def table(cases, expected, found):
    """Counts of `behavior` by group; the last column counts what is wrong with `behaviorClose`."""
    header = ["group", "cases", *COLUMNS, "other", "close not OK"]
    rows = [header]
    for group in sorted(set(expected) | set(found)):
        members = {key: case for key, case in cases.items() if sort_key(key)[0] == group}
        outcomes = collections.Counter(case.get("behavior") for case in members.values())
        known = [outcomes[column] for column in COLUMNS]
        wrong = sum(not is_good(key, case.get("behaviorClose")) for key, case in members.items())
        rows.append([group, len(members), *known, len(members) - sum(known), wrong])
    columns = zip(*rows[1:])
    next(columns)
    rows.append(["all", *map(sum, columns)])
    widths = [len(title) for title in header]
    return ["  ".join(str(cell).rjust(width) for cell, width in zip(row, widths)) for row in rows]


class SelfTest(unittest.TestCase):
    """The judge must be able to fail, or its word is worth nothing."""

    def passes(self, change=None, remove=None, groups=(7,)):
        """Judges a made-up report of group 7."""
        good = {"behavior": "OK", "behaviorClose": "OK"}
        cases = {f"7.20.{number}": dict(good) for number in range(CASES[7] - 3)}
        for case_id in INFORMATIONAL:
            cases[case_id] = {"behavior": "INFORMATIONAL", "behaviorClose": "INFORMATIONAL"}
        cases.update(change or {})
        if remove:
            del cases[remove]
        return judge(cases, groups)[1]

    def test_a_clean_report_passes(self):
        self.assertTrue(self.passes())

    def test_each_other_outcome_fails(self):
        for outcome in [*COLUMNS[1:], "WRONG CODE", "UNCLEAN", "FAILED BY CLIENT", "new", None]:
            with self.subTest(outcome=outcome):
                for behavior, close in [(outcome, "OK"), ("OK", outcome)]:
                    case = {"behavior": behavior, "behaviorClose": close}
                    self.assertFalse(self.passes({"7.20.1": case}))
        self.assertFalse(self.passes({"7.20.1": {}}))

    def test_a_missing_or_additional_case_fails(self):
        self.assertFalse(self.passes(remove="7.20.1"))
        self.assertFalse(self.passes({"7.99.1": {"behavior": "OK", "behaviorClose": "OK"}}))
        self.assertFalse(self.passes({"8.1.1": {"behavior": "OK", "behaviorClose": "OK"}}))
        self.assertFalse(self.passes(groups=(7, 10)))
        self.assertFalse(judge({}, [10])[1])

    def test_a_quick_run_leaves_out_what_it_counts_out(self):
        groups = [7, 12, 13]
        for group in groups:
            names = [f"{group}.{at + 1}" for at in range(SETS.get(group, 0))]
            cases = [case for case in left_out(groups, True) if case.rpartition(".")[0] in names]
            self.assertEqual(number_of_cases(group, True), CASES[group] - len(cases))
            self.assertEqual(number_of_cases(group, False), CASES[group])
        self.assertEqual(left_out(groups, False), [])
        self.assertEqual(number_of_cases(12, True), 65)
        good = {"behavior": "OK", "behaviorClose": "OK"}
        cases = {f"12.{at % 5 + 1}.{at // 5 + 1}": dict(good) for at in range(65)}
        self.assertTrue(judge(cases, [12], quick=True)[1])
        self.assertFalse(judge(cases, [12])[1])

    def test_groups_are_written_as_ranges(self):
        self.assertEqual(parse_groups("1-3,9"), [1, 2, 3, 9])
        self.assertEqual(sum(CASES[group] for group in parse_groups("1-7,9,10")), 301)
        self.assertEqual(sum(CASES.values()), 517)
        for wrong in ["8", "0", "", "x", "2-1"]:
            errors = (argparse.ArgumentTypeError, ValueError)
            with self.subTest(wrong=wrong), self.assertRaises(errors):
                parse_groups(wrong)


def main():
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("self-test")
    for name in ["spec", "judge"]:
        command = commands.add_parser(name)
        command.add_argument("--groups", type=parse_groups, required=True)
        command.add_argument("--quick", action="store_true")
    commands.choices["spec"].add_argument("--url", required=True)
    commands.choices["judge"].add_argument("index")
    arguments = parser.parse_args()
    if arguments.command == "self-test":
        tests = unittest.defaultTestLoader.loadTestsFromTestCase(SelfTest)
        if not unittest.TextTestRunner(verbosity=0, stream=sys.stdout).run(tests).wasSuccessful():
            sys.exit("the judge of the report is broken")
    elif arguments.command == "spec":
        spec = specification(arguments.groups, arguments.url, arguments.quick)
        print(json.dumps(spec, indent=2))
    else:
        with open(arguments.index, encoding="utf-8") as file:
            report = json.load(file)
        lines, passed = judge(report.get(AGENT, {}), arguments.groups, arguments.quick)
        print("\n".join(lines))
        print("autobahn:", "every" if passed else "not every", "case is as it must be")
        sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
