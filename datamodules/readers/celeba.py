"""What people have of CelebA: the CelebAMask-HQ release, its zip, or plain CelebA."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from lightning_ecinn.datamodules.checks import DataNotFoundError
from lightning_ecinn.datamodules.readers.files import Archive, Folder, open_files, some
from lightning_ecinn.plain_text import plain

__all__ = ["CelebAFiles", "class_names", "find_celeba"]

_LAST_TRAIN, _LAST_VAL = 162_770, 182_637
"""CelebA numbers its pictures from 1; its partition is by number."""
_FOLDERS = ("", "Anno/", "Eval/")
"""Of tables: where everyone puts them, and where CelebA's own release does."""
_ENDINGS = (".txt", ".csv")
_SEPARATORS = str.maketrans({",": " ", ";": " ", '"': " "})


def class_names(attribute: str) -> list[str]:
    """Name the classes without and with an attribute as the ECINN paper does.

    For Heavy_Makeup "not heavy makeup" and "heavy makeup".
    """
    name = attribute.replace("_", " ").lower()
    return [f"not {name}", name]


@dataclass(frozen=True)
class CelebAFiles:
    """A copy of CelebA or CelebA-HQ, and what is called what in it.

    Attributes:
        files: the folder or archive of the pictures.
        images: their folder in there.
        tables: the folder or archive of the tables, which may be another.
        attributes: table of attributes.
        partition: table that tells the split.
        is_hq: whether it is CelebA-HQ, whose pictures have other numbers than CelebA's.
    """

    files: Folder | Archive
    images: str
    tables: Folder | Archive
    attributes: str
    partition: str
    is_hq: bool

    def read_attribute(self, attribute: str) -> dict[str, bool]:
        """Return which pictures have an attribute.

        Raises:
            DataNotFoundError: the table is not there.
            ValueError: it has no such attribute, or is damaged.
        """
        lines = self._lines(self.attributes)
        if lines and len(lines[0]) == 1:  # the number of pictures
            lines = lines[1:]
        if len(lines) < 2:
            raise ValueError(
                f"{self.attributes} in {self.tables} should have the attributes in its first or "
                "second line and a picture in each other: it is damaged or its download broke off; "
                "fetch it again."
            )
        names, *rows = lines
        names = names[len(names) == len(rows[0]) :]  # as CSV, the pictures' column has a name
        column = 1 + names.index(_known(attribute, names))
        has_attribute = {words[0]: self._value(words, column, names) for words in rows}
        if len(has_attribute) < len(rows):
            raise ValueError(
                f"{self.attributes} in {self.tables} has pictures twice: fetch it again."
            )
        return has_attribute

    def read_split(self, pictures: Sequence[str]) -> list[int] | None:
        """Return CelebA's own split: 0 (train), 1 (val) or 2 (test) for each picture.

        Returns None for a CelebA-HQ without the table that tells its pictures' numbers in CelebA.

        Raises:
            ValueError: the table leaves a picture out, or is damaged.
        """
        if self.tables.stamp(self.partition) is None:
            return None if self.is_hq else self._split_by_number(pictures)
        split = self._partition()
        if missing := [picture for picture in pictures if picture not in split]:
            raise ValueError(
                f"{self.partition} in {self.tables} leaves pictures out ({some(missing)}): fetch "
                "it again."
            )
        return [split[picture] for picture in pictures]

    def _partition(self) -> dict[str, int]:
        lines = self._lines(self.partition)
        try:
            if self.is_hq:  # idx orig_idx orig_file; orig_idx counts from 0
                return {f"{row[0]}.jpg": _split_of(1 + int(row[1])) for row in lines[1:]}
            has_header = not lines[0][1].isdigit()
            return {row[0]: (0, 1, 2).index(int(row[1])) for row in lines[has_header:]}
        except (ValueError, IndexError):
            raise ValueError(
                f"{self.partition} in {self.tables} is damaged: fetch it again."
            ) from None

    def _split_by_number(self, pictures: Sequence[str]) -> list[int]:
        try:
            return [_split_of(int(Path(picture).stem)) for picture in pictures]
        except ValueError:
            raise DataNotFoundError(
                f"{self.partition} is not in {self.tables}, and the pictures are not named by "
                f"CelebA's numbers ({some(list(pictures))}): put the table beside {self.images}."
            ) from None

    def _value(self, words: list[str], column: int, names: list[str]) -> bool:
        if len(words) != 1 + len(names) or words[column] not in ("-1", "0", "1"):
            raise ValueError(
                f"{self.attributes} in {self.tables}: the line of {plain(words[0])} should hold "
                f"{len(names)} times 1 or -1, but has {len(words) - 1} values: fetch it again."
            )
        if "/" in words[0] or "\\" in words[0]:
            raise ValueError(
                f"{self.attributes} in {self.tables} has a picture {words[0]!r}, but all are in "
                f"{self.images}: name them without folders."
            )
        return words[column] == "1"

    def _lines(self, table: str) -> list[list[str]]:
        """Return a table as lines of words, without empty ones; commas are as good as blanks."""
        if self.tables.stamp(table) is None:
            raise DataNotFoundError(
                f"{table} is not in {self.tables}, which holds {some(self.tables.within(''), 8)}: "
                f"put it beside {self.images}."
            )
        try:
            text = self.tables.read(table).decode("utf-8-sig", errors="replace")
        except ValueError as error:
            raise ValueError(f"{table} in {self.tables} cannot be read: {error}.") from None
        lines = text.translate(_SEPARATORS).splitlines()
        return [words for words in map(str.split, lines) if words]


def find_celeba(root: Path) -> CelebAFiles:
    """Look for CelebA-HQ, then for CelebA.

    Args:
        root: the folder that holds them, one above it, or the zip archive.

    Raises:
        DataNotFoundError: neither is there; the message says what is.
        ValueError: the archive is damaged.
    """
    files = open_files(root)
    for look in (_celeba_hq, _celeba):
        for place in _places(files):
            if celeba := look(place):
                return celeba
    raise DataNotFoundError(
        f"Neither CelebA-HQ nor CelebA is in {root}, which holds {some(files.within(''), 8)}: "
        "expected CelebA-HQ-img/ with CelebAMask-HQ-attribute-anno.txt, CelebAMask-HQ.zip, or "
        "img_align_celeba/ with list_attr_celeba.txt or .csv; CelebA-HQ is at "
        "https://github.com/switchablenorms/CelebAMask-HQ."
    )


def _celeba_hq(files: Folder | Archive) -> CelebAFiles | None:
    images = "CelebA-HQ-img"
    if not files.within(images):
        return None
    return CelebAFiles(
        files,
        images,
        files,
        attributes=_table(files, "CelebAMask-HQ-attribute-anno"),
        partition=_table(files, "CelebA-HQ-to-CelebA-mapping"),
        is_hq=True,
    )


def _celeba(files: Folder | Archive) -> CelebAFiles | None:
    """CelebA as its own release has it, as torchvision does, or as CSV."""
    for pictures, images in _picture_folders(files):
        if pictures.within(images):
            return CelebAFiles(
                pictures,
                images,
                files,
                attributes=_table(files, "list_attr_celeba"),
                partition=_table(files, "list_eval_partition"),
                is_hq=False,
            )
    return None


def _picture_folders(files: Folder | Archive) -> Iterator[tuple[Folder | Archive, str]]:
    """Folders, perhaps within one of the same name, then archives."""
    for above in ("", "Img/"):
        for folder in ("img_align_celeba/img_align_celeba", "img_align_celeba"):
            yield files, above + folder
    for above in ("", "Img/"):
        if isinstance(files, Folder) and files.stamp(f"{above}img_align_celeba.zip"):
            yield open_files(files.path / f"{above}img_align_celeba.zip"), "img_align_celeba"


def _table(files: Folder | Archive, stem: str) -> str:
    """The name of a table, the usual one where it is missing."""
    names = [f"{folder}{stem}{ending}" for ending in _ENDINGS for folder in _FOLDERS]
    return next((name for name in names if files.stamp(name) is not None), names[0])


def _places(files: Folder | Archive) -> Iterator[Folder | Archive]:
    """Where people keep it: right here, one level down, or in the archive of its name."""
    yield files
    if isinstance(files, Archive):
        yield from map(files.below, files.within(""))
        return
    usual = ("CelebAMask-HQ", "celeba", "CelebA")
    for name in dict.fromkeys((*usual, *files.within(""))):
        if (files.path / name).is_dir():
            yield Folder(files.path / name)
    archive = files.path / "CelebAMask-HQ.zip"
    if archive.is_file():
        yield from _places(open_files(archive))


def _split_of(number: int) -> int:
    return int(number > _LAST_TRAIN) + int(number > _LAST_VAL)


def _known(attribute: str, attributes: list[str]) -> str:
    if attribute in attributes:
        return attribute
    by_lower = {name.lower(): name for name in attributes}
    wanted = attribute.lower().replace(" ", "_")
    close = [by_lower[name] for name in get_close_matches(wanted, by_lower, 3, 0.5)]
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    there_are = plain(f"{hint}There are {', '.join(attributes)}")
    raise ValueError(f"attribute is {attribute!r}, which CelebA does not have: {there_are}.")
