"""Namespace: a room for names, with labels that policies and injection look at."""

from lateen.api.fields import Ignored
from lateen.api.structs import Struct


class Namespace(Struct):
    """A namespace has no settings of its own; its labels are in the object's metadata."""

    finalizers: Ignored = None
