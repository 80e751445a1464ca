"""What goes wrong with data that is not there."""


class DataNotFoundError(FileNotFoundError):
    """A data set is not on disk; the message says where it was looked for and what to do."""
