"""Two classes from an attribute that a picture has or has not."""

__all__ = ["class_names"]


def class_names(attribute: str) -> list[str]:
    """Name both classes as the ECINN paper does: "not heavy makeup" before "heavy makeup"."""
    name = attribute.replace("_", " ").lower()
    return [f"not {name}", name]
