"""What templates are for, read from descriptors as protoc writes them."""

import base64

import pytest
from google.protobuf import descriptor_pb2
from hypothesis import given
from hypothesis import strategies as st

from lateen.api.mixer.templates import Variety
from lateen.mixer import descriptors
from lateen.mixer.descriptors import TemplateOptions


def varint(number: int) -> bytes:
    """Return a number as protobuf writes it."""
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def template_file(variety: int, name: str = "") -> descriptor_pb2.FileDescriptorProto:
    """Return a file with the options that mixgen looks for."""
    options = varint(72295727 << 3) + varint(variety)
    if name:
        options += varint(72295888 << 3 | 2) + varint(len(name)) + name.encode()
    file = descriptor_pb2.FileDescriptorProto(name="t.proto", package="colors", dependency=["other.proto"])
    file.options.ParseFromString(options)
    file.message_type.add(name="Template").field.add(name="a", number=1)
    return file


def encoded(message: descriptor_pb2.FileDescriptorProto | descriptor_pb2.FileDescriptorSet) -> str:
    return base64.b64encode(message.SerializeToString()).decode()


@pytest.mark.parametrize(
    ("number", "variety"),
    [(0, Variety.CHECK), (1, Variety.REPORT), (2, Variety.QUOTA), (3, Variety.ATTRIBUTE_GENERATOR), (4, Variety.CHECK)],
)
def test_a_variety_is_read_from_a_file(number: int, variety: Variety) -> None:
    assert descriptors.template_options(encoded(template_file(number))) == TemplateOptions(variety)


def test_in_a_set_the_template_comes_after_what_it_imports() -> None:
    imported = descriptor_pb2.FileDescriptorProto(name="google/protobuf/any.proto")
    imported.options.go_package = "any"
    files = descriptor_pb2.FileDescriptorSet(file=[imported, template_file(1, "colors")])
    assert descriptors.template_options(encoded(files)) == TemplateOptions(Variety.REPORT, "colors")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must be the descriptor of a template"),
        ("a", "must be a descriptor in base64"),
        (encoded(descriptor_pb2.FileDescriptorProto(name="x")), "must be the descriptor of a template"),
        (encoded(template_file(9)), "must have a template_variety that is known"),
    ],
)
def test_what_is_no_template_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        descriptors.template_options(text)


@given(st.binary(max_size=80) | st.binary(max_size=20).map(lambda tail: template_file(1).SerializeToString() + tail))
def test_no_bytes_break_the_reader(content: bytes) -> None:
    try:
        descriptors.template_options(base64.b64encode(content).decode())
    except ValueError as error:
        assert str(error).startswith("must")
