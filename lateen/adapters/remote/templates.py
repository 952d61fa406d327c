"""Templates as adapters elsewhere see them: a service with one method, and the messages that it takes and answers."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.message import DecodeError

from lateen.adapters.remote import encoding, wire
from lateen.adapters.remote.encoding import Types
from lateen.errors import ConfigRejected
from lateen.mixer.ports import MadeInstance

_PREFIX: Final = "Handle"
_PARAMS: Final = "Params"


@dataclass(frozen=True, slots=True)
class RemoteTemplate:
    """A template's method: its path, the class of its request, and that of its answer."""

    path: str
    request: Any
    answer: Any

    @property
    def is_batched(self) -> bool:
        """Whether one call takes many instances."""
        return "instances" in self.request.DESCRIPTOR.fields_by_name

    def add_instance(self, request: Any, instance: MadeInstance, types: Types) -> None:
        """Write an instance into a request. Raises `ValueError` for a field that the template does not have."""
        target = request.instances.add() if self.is_batched else request.instance
        target.SetInParent()
        encoding.fill(target, instance.fields, types)
        target.name = instance.name

    @property
    def instance(self) -> Descriptor:
        """Return the descriptor of an instance's message."""
        fields = self.request.DESCRIPTOR.fields_by_name
        found: Descriptor = fields["instances" if self.is_batched else "instance"].message_type
        return found


def built_in(name: str) -> RemoteTemplate:
    """Return a built-in template. Raises `ConfigRejected` where adapters elsewhere cannot take it."""
    pool = wire.template_pool(name)
    if pool is None:
        raise ConfigRejected(f"template {name} cannot be sent to an adapter in a process of its own")
    return _template(pool.FindFileByName(f"{name}.proto"), name)


def described(name: str, text: str) -> RemoteTemplate:
    """Return a template by its descriptor in base64. Raises `ConfigRejected` for what is none."""
    pool, files = _read(text, f"template {name}")
    for file in reversed(files):
        if any(each.name.startswith(_PREFIX) for each in file.service):
            return _template(pool.FindFileByName(file.name), name)
    raise ConfigRejected(f"the descriptor of template {name} has no service Handle…: take what mixgen writes")


def adapter_config(name: str, text: str, params: Mapping[str, Any]) -> tuple[str, bytes]:
    """Write an adapter's settings by its descriptor in base64: the name of their message, and the message.

    Raises `ConfigRejected` for settings that do not fit.
    """
    if not text:
        if params:
            raise ConfigRejected(
                f"params cannot be sent: the object of adapter {name} has no config that describes them"
            )
        return "", b""
    pool, files = _read(text, f"adapter {name}")
    owner = next((file for file in reversed(files) if any(each.name == _PARAMS for each in file.message_type)), None)
    if owner is None:
        raise ConfigRejected(f"the descriptor of adapter {name} has no message {_PARAMS}")
    full_name = f"{owner.package}.{_PARAMS}" if owner.package else _PARAMS
    made = message_factory.GetMessageClass(pool.FindMessageTypeByName(full_name))()
    try:
        json_format.ParseDict(dict(params), made, descriptor_pool=pool)
    except json_format.ParseError as error:
        raise ConfigRejected(f"params do not fit adapter {name}: {error}") from None
    return full_name, made.SerializeToString(deterministic=True)


def _template(file: Any, name: str) -> RemoteTemplate:
    service = next(each for each in file.services_by_name.values() if each.name.startswith(_PREFIX))
    if not service.methods:
        raise ConfigRejected(f"the service {service.name} of template {name} has no method")
    method: MethodDescriptor = service.methods[0]
    path = f"/{service.full_name}/{method.name}"
    return RemoteTemplate(path, _message_class(method.input_type), _message_class(method.output_type))


def _message_class(descriptor: Descriptor) -> Any:
    return message_factory.GetMessageClass(descriptor)


def _read(text: str, subject: str) -> tuple[Any, list[Any]]:
    """Read a set of descriptors into a pool of their own."""
    pool = descriptor_pool.DescriptorPool()
    try:
        files = list(descriptor_pb2.FileDescriptorSet.FromString(base64.b64decode(text)).file)
        for file in files:
            pool.Add(file)
    except (binascii.Error, DecodeError, TypeError, ValueError, KeyError) as error:
        raise ConfigRejected(f"the descriptor of {subject} cannot be read: {error}") from None
    return pool, files
