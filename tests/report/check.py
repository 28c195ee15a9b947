"""Says what is wrong with a report, by schemas and readers that others wrote where there are such; one complaint a line.

    check.py json DOCUMENT SCHEMA | sarif DOCUMENT SCHEMA | cyclonedx DOCUMENT | junit DOCUMENT

Ends with 0 if there is nothing to complain about.
"""

import json
import sys
import xml.etree.ElementTree as etree

from jsonschema import Draft202012Validator


def closed(schema):
    """The schema as it would be if nothing might be added: what is written must be described."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: closed(value) for key, value in schema.items()}
    if isinstance(out.get("properties"), dict) and out.get("type") == "object":
        out.setdefault("additionalProperties", False)
    return out


def by_schema(document, schema):
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    for error in validator.iter_errors(document):
        yield f"{error.json_path}: {error.message[:300]}"


def at(values, index):
    return values[index] if 0 <= index < len(values) else None


def sarif(document):
    """What a schema cannot say: numbers that point elsewhere, and fingerprints that tell findings apart."""
    run = document["runs"][0]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    kinds = [kind["id"] for kind in run["tool"]["driver"]["notifications"]]
    artifacts = [artifact["location"]["uri"] for artifact in run["artifacts"]]
    if len(set(rules)) != len(rules):
        yield "a rule is there twice"
    seen = set()
    for result in run["results"]:
        if at(rules, result["ruleIndex"]) != result["ruleId"]:
            yield f"{result['ruleId']}: its index leads to {at(rules, result['ruleIndex'])}"
        place = result["locations"][0]["physicalLocation"]["artifactLocation"]
        if at(artifacts, place["index"]) != place["uri"]:
            yield f"{result['ruleId']}: its artifact's index leads to {at(artifacts, place['index'])}"
        mark = result["partialFingerprints"]["keywardFinding/v1"]
        if mark in seen:
            yield f"{result['ruleId']}: another finding has the same fingerprint"
        seen.add(mark)
    for unused in set(rules) - {result["ruleId"] for result in run["results"]}:
        yield f"{unused}: a rule without a result"
    invocation = run["invocations"][0]
    notifications = invocation.get("toolExecutionNotifications", [])
    if invocation["executionSuccessful"] == bool(notifications):
        yield "it says that all went well, and that it did not"
    for notification in notifications:
        if notification["descriptor"]["id"] not in kinds:
            yield f"no notification is described as {notification['descriptor']['id']}"


def cyclonedx(text):
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator
    from packageurl import PackageURL

    wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if wrong is not None:
        yield str(wrong)[:2000]
    document = json.loads(text)
    refs = set()

    def walk(components):
        for component in components:
            if component["bom-ref"] in refs:
                yield f"{component['bom-ref']}: is there twice"
            refs.add(component["bom-ref"])
            if "purl" in component:
                yield from purl(component)
            yield from walk(component.get("components", []))

    def purl(component):
        read = PackageURL.from_string(component["purl"])
        # The specification folds the case of some.
        if read.name.lower() != component["name"].lower():
            yield f"{component['purl']}: reads as the name {read.name}"
        version = read.version
        if "epoch" in read.qualifiers:
            version = f"{read.qualifiers['epoch']}:{version}"
        if version != component["version"]:
            yield f"{component['purl']}: reads as the version {version}"

    yield from walk(document["components"])
    for vulnerability in document["vulnerabilities"]:
        for affected in vulnerability["affects"]:
            if affected["ref"] not in refs:
                yield f"{vulnerability['id']}: affects {affected['ref']}, which is not there"
        if not vulnerability["affects"]:
            yield f"{vulnerability['id']}: affects nothing"
    for composition in document["compositions"]:
        for ref in composition["assemblies"]:
            if ref not in refs:
                yield f"a composition names {ref}, which is not there"


def junit(text):
    root = etree.fromstring(text)
    if root.tag != "testsuites":
        yield f"the root is {root.tag}"
    sums = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    for suite in root:
        cases = suite.findall("testcase")
        real = {
            "tests": len(cases),
            "failures": sum(case.find("failure") is not None for case in cases),
            "errors": sum(case.find("error") is not None for case in cases),
            "skipped": sum(case.find("skipped") is not None for case in cases),
        }
        for key, value in real.items():
            if int(suite.get(key)) != value:
                yield f"{suite.get('name')}: says {key}={suite.get(key)} and has {value}"
            sums[key] += value
        for case in cases:
            if not case.get("name") or not case.get("classname"):
                yield f"{suite.get('name')}: a case without a name"
    for key, value in sums.items():
        if int(root.get(key, "0")) != value:
            yield f"says {key}={root.get(key)} and has {value}"


def main():
    kind, path = sys.argv[1:3]
    with open(path, encoding="utf-8") as file:
        text = file.read()
    schema = None
    if len(sys.argv) > 3:
        with open(sys.argv[3], encoding="utf-8") as file:
            schema = json.load(file)
    if kind == "json":
        complaints = list(by_schema(json.loads(text), closed(schema)))
    elif kind == "sarif":
        document = json.loads(text)
        complaints = list(by_schema(document, schema)) or list(sarif(document))
    elif kind == "cyclonedx":
        complaints = list(cyclonedx(text))
    else:
        complaints = list(junit(text))
    for complaint in complaints[:50]:
        print(complaint[:2000])
    return 1 if complaints else 0


sys.exit(main())
