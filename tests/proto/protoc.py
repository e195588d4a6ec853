"""Compiling .proto text with the real protoc, in this process."""

from __future__ import annotations

from importlib.metadata import files
from pathlib import Path

import grpc_tools.protoc
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pool import DescriptorPool


def include_paths() -> list[str]:
    """Return the folders with google/protobuf and google/type."""
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    date = next(
        file
        for file in files("googleapis-common-protos") or []
        if str(file).endswith("google/type/date.proto")
    )
    return [str(well_known), str(Path(str(date.locate())).parents[2])]


def run(folder: Path, name: str, *options: str) -> None:
    """Compile a file in a folder; fails as protoc does, with its words on stderr."""
    includes = [f"-I{path}" for path in (folder, *include_paths())]
    arguments = ["protoc", *includes, *options, str(folder / name)]
    assert grpc_tools.protoc.main(arguments) == 0, (folder / name).read_text(encoding="utf-8")


def compile_text(text: str, folder: Path, name: str = "sample.proto") -> DescriptorPool:
    """Return a pool with the compiled file and its imports; fails as protoc does."""
    source = folder / name
    source.write_text(text, encoding="utf-8")
    target = folder / "descriptors.bin"
    run(folder, name, "--include_imports", f"--descriptor_set_out={target}")
    pool = DescriptorPool()
    found = descriptor_pb2.FileDescriptorSet.FromString(target.read_bytes())
    for file in found.file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


def compile_service(text: str, folder: Path, name: str) -> ServiceDescriptor:
    """Return the service of this full name in a .proto text."""
    return compile_text(text, folder).FindServiceByName(name)
