"""Objects of files whose rows are removed: deleted, and their keys freed once they are surely gone."""

from shared.model.file import File
from shared.ports import ObjectStore
from shared.records import Records
from shared.services.forgetting import keys_of


def purge(records: Records, objects: ObjectStore, *files: File) -> None:
    """Delete the objects of files, then their records: for whoever removed their rows, once.

    What is not surely gone keeps its record, and with it its key, until a sweep has looked. Raises
    `Unavailable`.
    """
    owners = {key: file.id for file in files for key in keys_of(file)}
    # No other upload ever has a key with this one's id in it.
    gone = [key for key, file_id in owners.items() if file_id in key]
    if gone:
        objects.delete(gone)
    others = owners.keys() - set(gone)
    gone += [key for key in others if _removed(objects, key, owners[key])]
    if gone:
        with records.begin() as rows:
            rows.objects.drop(gone, *(file.id for file in files))


def _removed(objects: ObjectStore, key: str, upload_id: str) -> bool:
    """Delete the upload's object; False when another must not have the key yet."""
    found = objects.find(key)
    if found is None or found.upload_id != upload_id:
        return True
    return objects.delete_seen(found)
