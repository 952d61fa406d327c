"""Messages of Envoy 1.40 that the generated protobuf modules do not have yet: as its descriptors say them.

They are in the default pool, as generated ones are, so that they can be read from and shown in any message.
"""

from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE: Final = "envoy.extensions.filters.http.filter_chain.v3"


def _messages() -> tuple[Any, Any]:
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="envoy/extensions/filters/http/filter_chain/v3/filter_chain.proto",
        package=_PACKAGE,
        dependency=["envoy/config/core/v3/extension.proto"],
        syntax="proto3",
    )
    config = file.message_type.add(name="FilterChainConfig")
    config.field.add(
        name="default_filter_chain",
        number=1,
        label=field.LABEL_OPTIONAL,
        type=field.TYPE_MESSAGE,
        type_name=f".{_PACKAGE}.FilterChain",
    )
    chain = file.message_type.add(name="FilterChain")
    chain.field.add(
        name="filters",
        number=1,
        label=field.LABEL_REPEATED,
        type=field.TYPE_MESSAGE,
        type_name=".envoy.config.core.v3.TypedExtensionConfig",
    )
    pool = descriptor_pool.Default()
    pool.Add(file)
    names = (f"{_PACKAGE}.{message.name}" for message in (config, chain))
    made, part = (message_factory.GetMessageClass(pool.FindMessageTypeByName(name)) for name in names)
    return made, part


FilterChainConfig, FilterChain = _messages()
"""A filter that is several filters in a row; without a chain it is none."""
