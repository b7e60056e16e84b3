"""What can be said of finished models before any job: their files, and what their entries leave open."""

import zipfile

from shapelens.models.spec import Finished, is_file, local_folder
from shapelens.planning.library_names import unknown_name


def paths_of(finished: Finished) -> dict[str, str]:
    """Return the files and folders that decide a finished model, by the key that names them."""
    found = {"weights": finished.weights} if is_file(finished.weights) else {}
    if (folder := local_folder(finished.weights)) is not None:
        found["weights"] = folder
    if finished.file is not None:
        found["file"] = finished.file
    if finished.module is not None:
        found["module"] = finished.module.rpartition(":")[0]
    return found


def problems_of(finished: Finished, classes: int | None) -> list[str]:
    """Return what is wrong with an entry, by key, of what its job would refuse after the images are made.

    ``classes``: how many the dataset has, where that is known without its images.
    """
    names = {"weights": finished.weights, "arch": finished.arch}
    problems = [f"{key}: {wrong}" for key, name in names.items() if name and (wrong := unknown_name(name))]
    is_bare = is_file(finished.weights) and finished.arch is None and finished.module is None
    if is_bare and not _is_program(finished.weights):
        problems.append(
            f"arch: {finished.weights} is a file of weights, so its architecture must be given: `arch`, or as `module` "
            "a file of yours that builds it"
        )
    wanted = finished.output_map()
    if classes is not None and isinstance(wanted, tuple) and len(wanted) != classes:
        key = "outputs" if finished.outputs is not None else "class_indices"
        problems.append(f"{key}: {len(wanted)} entries, but the dataset has {classes} classes; give one for each")
    return problems


def _is_program(path: str) -> bool:
    """Tell whether a file is TorchScript or an exported program, which bring their own architecture."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.rpartition("/")[2] for name in archive.namelist()}
    except (zipfile.BadZipFile, OSError):
        return False
    return bool(names & {"archive_format", "constants.pkl", "serialized_exported_program.json"})
