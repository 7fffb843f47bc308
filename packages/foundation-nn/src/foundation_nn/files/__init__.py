"""Files that can be trusted: written whole or not at all, and read within bounds.

Read in this order: ``_write`` (a file that is replaced by a whole one), ``_remove`` (a folder that
is whole or gone), ``_read`` (regular files, of a bounded size), ``_json`` (JSON, and objects in it
that are what they should be).
"""

from foundation_nn.files._json import field, from_object, parse_json, read_json, read_json_lines
from foundation_nn.files._read import MAX_BYTES, is_file_name, open_file, read_bytes, read_text
from foundation_nn.files._remove import remove_folder, remove_removed
from foundation_nn.files._write import (
    is_unfinished,
    new_file,
    remove_unfinished,
    sync_folder,
    write_file,
)

__all__ = [
    "write_file",
    "new_file",
    "is_unfinished",
    "remove_unfinished",
    "sync_folder",
    "remove_folder",
    "remove_removed",
    "open_file",
    "read_bytes",
    "read_text",
    "MAX_BYTES",
    "is_file_name",
    "read_json",
    "read_json_lines",
    "parse_json",
    "field",
    "from_object",
]
