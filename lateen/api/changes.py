"""What happens to the configuration, one object at a time."""

from dataclasses import dataclass

from lateen.api.objects import ConfigObject, ObjectKey
from lateen.api.structs import Struct


@dataclass(frozen=True, slots=True)
class Upsert:
    """The object is now this one, whether there was one before or not."""

    object: ConfigObject[Struct]

    @property
    def key(self) -> ObjectKey:
        """The key of the object that is set."""
        return self.object.key


@dataclass(frozen=True, slots=True)
class Remove:
    """The object with this key is gone."""

    key: ObjectKey


Change = Upsert | Remove
