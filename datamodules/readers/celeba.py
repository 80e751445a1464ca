"""What people have of CelebA: the CelebAMask-HQ release, its zip, or plain CelebA."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from lightning_ecinn.datamodules.checks import DataNotFoundError
from lightning_ecinn.datamodules.readers.files import Archive, Folder, open_files, some

__all__ = ["CelebAFiles", "class_names", "find_celeba"]

_LAST_TRAIN, _LAST_VAL = 162_770, 182_637
"""CelebA numbers its pictures from 1; its partition is by number."""


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
        files: the folder or archive.
        images: folder of the pictures.
        attributes: table of attributes.
        partition: table that tells the split.
        is_hq: whether it is CelebA-HQ, whose pictures have other numbers than CelebA's.
    """

    files: Folder | Archive
    images: str
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
        if len(lines) < 3 or len(lines[0]) != 1:
            raise ValueError(
                f"{self.attributes} in {self.files} should have the number of pictures in its "
                "first line, the attributes in its second and a picture in each other: it is "
                "damaged or its download broke off; fetch it again."
            )
        names = lines[1]
        column = 1 + names.index(_known(attribute, names))
        return {words[0]: self._value(words, column, names) for words in lines[2:]}

    def read_split(self, pictures: Sequence[str]) -> list[int] | None:
        """Return CelebA's own split: 0 (train), 1 (val) or 2 (test) for each picture.

        Returns None for a CelebA-HQ without the table that tells its pictures' numbers in CelebA.

        Raises:
            ValueError: the table leaves a picture out, or is damaged.
        """
        if self.files.stamp(self.partition) is None:
            return None if self.is_hq else self._split_by_number(pictures)
        split = self._partition()
        if missing := [picture for picture in pictures if picture not in split]:
            raise ValueError(
                f"{self.partition} in {self.files} leaves pictures out ({some(missing)}): fetch it "
                "again."
            )
        return [split[picture] for picture in pictures]

    def _partition(self) -> dict[str, int]:
        try:
            if self.is_hq:  # idx orig_idx orig_file; orig_idx counts from 0
                rows = self._lines(self.partition)[1:]
                return {f"{row[0]}.jpg": _split_of(1 + int(row[1])) for row in rows}
            return {row[0]: int(row[1]) for row in self._lines(self.partition)}
        except (ValueError, IndexError):
            raise ValueError(
                f"{self.partition} in {self.files} is damaged: fetch it again."
            ) from None

    def _split_by_number(self, pictures: Sequence[str]) -> list[int]:
        try:
            return [_split_of(int(Path(picture).stem)) for picture in pictures]
        except ValueError:
            raise DataNotFoundError(
                f"{self.partition} is not in {self.files}, and the pictures are not named by "
                f"CelebA's numbers ({some(list(pictures))}): put the table beside {self.images}."
            ) from None

    def _value(self, words: list[str], column: int, names: list[str]) -> bool:
        if len(words) != 1 + len(names) or words[column] not in ("-1", "0", "1"):
            raise ValueError(
                f"{self.attributes} in {self.files}: the line of {words[0]} should hold "
                f"{len(names)} times 1 or -1, but has {len(words) - 1} values: fetch it again."
            )
        return words[column] == "1"

    def _lines(self, table: str) -> list[list[str]]:
        """Return a table as lines of words, without empty ones."""
        if self.files.stamp(table) is None:
            raise DataNotFoundError(
                f"{table} is not in {self.files}, which holds {some(self.files.within(''), 8)}: "
                f"put it beside {self.images}."
            )
        lines = self.files.read(table).decode(errors="replace").splitlines()
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
    for layout in (_celeba_hq, _celeba):
        for place in _places(files):
            if place.within((celeba := layout(place)).images):
                return celeba
    raise DataNotFoundError(
        f"Neither CelebA-HQ nor CelebA is in {root}, which holds {some(files.within(''), 8)}: "
        "expected CelebA-HQ-img/ with CelebAMask-HQ-attribute-anno.txt, CelebAMask-HQ.zip, or "
        "img_align_celeba/ with list_attr_celeba.txt; CelebA-HQ is at "
        "https://github.com/switchablenorms/CelebAMask-HQ."
    )


def _celeba_hq(files: Folder | Archive) -> CelebAFiles:
    return CelebAFiles(
        files,
        images="CelebA-HQ-img",
        attributes="CelebAMask-HQ-attribute-anno.txt",
        partition="CelebA-HQ-to-CelebA-mapping.txt",
        is_hq=True,
    )


def _celeba(files: Folder | Archive) -> CelebAFiles:
    return CelebAFiles(
        files,
        images="img_align_celeba",
        attributes="list_attr_celeba.txt",
        partition="list_eval_partition.txt",
        is_hq=False,
    )


def _places(files: Folder | Archive) -> list[Folder | Archive]:
    """Where people keep it: right here, in the folder or archive of its name, one level down."""
    if isinstance(files, Archive):
        return [files, *map(files.below, files.within(""))]
    folders = [Folder(files.path / name) for name in ("", "CelebAMask-HQ", "celeba")]
    archive = files.path / "CelebAMask-HQ.zip"
    return [*folders, *(_places(open_files(archive)) if archive.is_file() else [])]


def _split_of(number: int) -> int:
    return int(number > _LAST_TRAIN) + int(number > _LAST_VAL)


def _known(attribute: str, attributes: list[str]) -> str:
    if attribute in attributes:
        return attribute
    by_lower = {name.lower(): name for name in attributes}
    wanted = attribute.lower().replace(" ", "_")
    close = [by_lower[name] for name in get_close_matches(wanted, by_lower, 3, 0.5)]
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    raise ValueError(
        f"attribute is {attribute!r}, which CelebA does not have: {hint}"
        f"There are {', '.join(attributes)}."
    )
