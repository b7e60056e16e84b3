"""What an RO-Crate of a run must hold: the MUSTs of RO-Crate 1.1, Workflow RO-Crate 1.0 and Workflow Run Crate 0.5."""

import re
from datetime import datetime
from urllib.parse import unquote

RUN_PROFILE = "https://w3id.org/ro/wfrun/workflow/0.5"


def listed(value):
    return value if isinstance(value, list) else [value]


def references(value):
    """Return the ids that an entity's properties refer to."""
    if isinstance(value, dict):
        return [value["@id"]] if set(value) == {"@id"} else [i for one in value.values() for i in references(one)]
    return [i for one in value for i in references(one)] if isinstance(value, list) else []


def problems(crate, folder):
    """Return in words what a crate in a folder lacks."""
    found = []

    def must(holds, text):
        if not holds:
            found.append(text)

    must(listed(crate["@context"])[0] == "https://w3id.org/ro/crate/1.1/context", "@context")
    graph = crate["@graph"]
    entities = {entity["@id"]: entity for entity in graph}
    must(len(entities) == len(graph), "an @id stands twice")
    must(all(set(map(type, listed(entity["@type"]))) == {str} for entity in graph), "an entity without @type")
    descriptor = entities.get("ro-crate-metadata.json", {})
    must(listed(descriptor.get("@type")) == ["CreativeWork"], "descriptor @type")
    must(descriptor.get("about") == {"@id": "./"}, "descriptor about")
    must("https://w3id.org/ro/crate/1.1" in references(descriptor.get("conformsTo", [])), "descriptor conformsTo")

    root = entities.get("./", {})
    must(root.get("@type") == "Dataset", "root @type")
    for key in ("name", "description", "license"):
        must(root.get(key), f"root {key}")
    must(datetime.fromisoformat(root.get("datePublished", "")).tzinfo is not None, "root datePublished")
    profiles = references(root.get("conformsTo", []))
    must(RUN_PROFILE in profiles, "root conformsTo")
    kinds = [listed(entities.get(i, {}).get("@type")) for i in profiles]
    must(all("CreativeWork" in kind for kind in kinds), "profiles are CreativeWorks")

    parts = references(root.get("hasPart", []))
    files = {i for i, entity in entities.items() if "File" in listed(entity["@type"])}
    must(set(parts) == files, "hasPart names every file and nothing else")
    for i in files:
        if "://" not in i:
            must((folder / unquote(i)).is_file(), f"{i} is not in the tree")
            must(not re.search(r"[\s#?\\]", i), f"{i} is no URI")
            must(re.fullmatch("[0-9a-f]{64}", entities[i].get("sha256", "")), f"{i} sha256")

    workflow = entities.get(root.get("mainEntity", {}).get("@id"), {})
    must(
        {"File", "SoftwareSourceCode", "ComputationalWorkflow"} <= set(listed(workflow.get("@type"))),
        "mainEntity is a workflow",
    )
    language = entities.get(workflow.get("programmingLanguage", {}).get("@id"), {})
    must(language.get("@type") == "ComputerLanguage" and language.get("name"), "programmingLanguage")
    actions = [entity for entity in graph if entity["@type"] == "CreateAction"]
    must(len(actions) == 1, "one CreateAction")
    for action in actions:
        must(action.get("instrument") == {"@id": workflow.get("@id")}, "the action's instrument is the workflow")
        must(action["@id"] in references(root.get("mentions", [])), "root mentions the action")
        must(action.get("name") and action.get("description"), "the action's name and description")
        must(datetime.fromisoformat(action["endTime"]).tzinfo is not None, "the action's endTime")
        must(action.get("object") and action.get("result"), "the action's object and result")
    for entity in graph:
        for i in references({key: value for key, value in entity.items() if not key.startswith("@")}):
            known = i in entities or i in {"https://w3id.org/ro/crate/1.1"} or i.startswith("https://doi.org/")
            must(known, f"{entity['@id']} refers to {i}, which is not described")
    return found
