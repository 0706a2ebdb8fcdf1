# SPDX-License-Identifier: Apache-2.0
"""Our Sparkplug payloads as others read them, and others' as we read them. The others: protoc,
which knows no schema, and Google's Python library on a schema that is made here, from the field
numbers of the specification's section 6.4 alone. Tests that are named test_tck_... show that
assertion of the Sparkplug specification."""

import os
import pathlib
import struct
import subprocess
import sys
import unittest

# Debian's modules, when another python3 comes first in PATH.
if "/usr/lib/python3/dist-packages" not in sys.path:
    sys.path.append("/usr/lib/python3/dist-packages")

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # noqa: E402

SPARKPLUGC = pathlib.Path(os.environ["TM_BUILD"]) / "tests" / "live" / "sparkplugc"
NOW = 1700000000123
CMC = b"\x30\x03\x02\x01\x07"
TEXT = "gr\u00fc\u00df"
(INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64, FLOAT, DOUBLE, BOOLEAN, STRING, DATETIME,
 TEXT_TYPE, UUID, DATASET, BYTES, FILE, TEMPLATE) = range(1, 20)

# ---- the schema ----

MANY = "*"
VALUES = ["int:uint32", "long:uint64", "float:float", "double:double", "boolean:bool",
          "string:string"]


def oneof(first, *more):
    """Fields of the oneof "value", from a number on."""
    return [f"{first + i}|{field}" for i, field in enumerate([*VALUES, *more])]


SCHEMA = {
    "Extension": [],
    "Payload": ["1 timestamp:uint64", "2*metrics:Metric", "3 seq:uint64", "4 uuid:string",
                "5 body:bytes"],
    "Metric": ["1 name:string", "2 alias:uint64", "3 timestamp:uint64", "4 datatype:uint32",
               "5 is_historical:bool", "6 is_transient:bool", "7 is_null:bool",
               "8 metadata:MetaData", "9 properties:PropertySet",
               *oneof(10, "bytes:bytes", "dataset:DataSet", "template:Template",
                      "extension:Extension")],
    "MetaData": ["1 is_multi_part:bool", "2 content_type:string", "3 size:uint64", "4 seq:uint64",
                 "5 file_name:string", "6 file_type:string", "7 md5:string",
                 "8 description:string"],
    "PropertySet": ["1*keys:string", "2*values:PropertyValue"],
    "PropertyValue": ["1 type:uint32", "2 is_null:bool",
                      *oneof(3, "propertyset:PropertySet", "propertysets:PropertySetList",
                             "extension:Extension")],
    "PropertySetList": ["1*propertyset:PropertySet"],
    "DataSet": ["1 num_of_columns:uint64", "2*columns:string", "3*types:uint32", "4*rows:Row"],
    "Row": ["1*elements:DataSetValue"],
    "DataSetValue": oneof(1, "extension:Extension"),
    "Template": ["1 version:string", "2*metrics:Metric", "3*parameters:Parameter",
                 "4 template_ref:string", "5 is_definition:bool"],
    "Parameter": ["1 name:string", "2 type:uint32", *oneof(3, "extension:Extension")],
}


def add_field(message, text):
    mark = next(i for i, c in enumerate(text) if not c.isdigit())
    name, kind = text[mark + 1:].split(":")
    field = message.field.add(number=int(text[:mark]), name=name)
    field.label = field.LABEL_REPEATED if text[mark] == MANY else field.LABEL_OPTIONAL
    if text[mark] == "|":
        field.oneof_index = 0
        if not message.oneof_decl:
            message.oneof_decl.add(name="value")
    if kind in SCHEMA:
        field.type, field.type_name = field.TYPE_MESSAGE, f".foreign.{kind}"
    else:
        field.type = getattr(field, f"TYPE_{kind.upper()}")


def foreign_classes():
    file = descriptor_pb2.FileDescriptorProto(name="foreign.proto", package="foreign",
                                              syntax="proto2")
    for name, fields in SCHEMA.items():
        message = file.message_type.add(name=name)
        for text in fields:
            add_field(message, text)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    factory = message_factory.MessageFactory(pool)
    return {name: factory.GetPrototype(pool.FindMessageTypeByName(f"foreign.{name}"))
            for name in SCHEMA}


CLASSES = foreign_classes()


# ---- both sides ----

def written(what):
    return subprocess.run([SPARKPLUGC, "write", what], capture_output=True, check=True,
                          timeout=60).stdout


def decoded(octets):
    """By Google's library; nothing may be left over."""
    payload = CLASSES["Payload"].FromString(octets)
    unknown = [len(payload.UnknownFields())] + [len(m.UnknownFields()) for m in payload.metrics]
    assert not any(unknown), unknown
    return payload


def decoded_raw(octets):
    """The lines of protoc --decode_raw."""
    return subprocess.run(["protoc", "--decode_raw"], input=octets, capture_output=True,
                          check=True, timeout=60).stdout.decode().splitlines()


def read_by_us(octets):
    """{"payload": words, "metrics": [words], "birth": words, "data": words, "command": words}"""
    text = subprocess.run([SPARKPLUGC, "read"], input=octets, capture_output=True, check=True,
                          timeout=60).stdout.decode()
    lines = [line.split() for line in text.splitlines()]
    read = {words[0]: words[1:] for words in lines if words[0] != "metric"}
    read["metrics"] = [words[1:] for words in lines if words[0] == "metric"]
    return read


def x(data):
    return "x" + (data.encode() if isinstance(data, str) else data).hex()


def words_of(metric):
    """What we have to say of a foreign metric."""
    def number(name):
        return str(getattr(metric, name)) if metric.HasField(name) else "-"
    kind = metric.WhichOneof("value") or "none"
    value = getattr(metric, kind) if kind != "none" else None
    if kind in ("dataset", "template", "extension"):
        shown = ["other", "-"]
    elif kind == "none":
        shown = ["none", "-"]
    elif kind in ("string", "bytes"):
        shown = [kind, x(value)]
    elif kind in ("float", "double"):
        shown = [kind, "%.17g" % value]
    else:
        shown = [kind, str(int(value))]
    flags = "".join(letter if getattr(metric, name) else "-" for letter, name in
                    (("h", "is_historical"), ("t", "is_transient"), ("n", "is_null")))
    return [x(metric.name), number("alias"), number("timestamp"), number("datatype"), flags, *shown]


def metric_of(payload, **fields):
    return payload.metrics.add(**{"timestamp": NOW, **fields})


class Written(unittest.TestCase):
    """Ours, read by others."""

    def by_name(self, payload):
        names = [m.name for m in payload.metrics]
        self.assertEqual(len(names), len(set(names)))
        return {m.name: m for m in payload.metrics}

    def test_tck_id_topics_nbirth_metrics(self):
        payload = decoded(written("nbirth"))
        self.assertEqual((payload.timestamp, payload.HasField("seq"), payload.seq), (NOW, True, 0))
        metrics = self.by_name(payload)
        self.assertEqual({name: m.datatype for name, m in metrics.items()}, {
            "bdSeq": INT64, "Node Control/Rebirth": BOOLEAN, "Touchmark/Device": STRING,
            "Touchmark/Label": STRING, "Touchmark/State": STRING, "Touchmark/Request": BYTES,
            "Touchmark/Offer": BYTES, "Touchmark/Response": BYTES})
        for metric in payload.metrics:
            self.assertEqual(metric.timestamp, NOW)
            self.assertNotEqual(metric.is_null, metric.WhichOneof("value") is not None)
        self.assertEqual(metrics["bdSeq"].long, 200)
        self.assertEqual(metrics["Node Control/Rebirth"].WhichOneof("value"), "boolean")
        self.assertFalse(metrics["Node Control/Rebirth"].boolean)
        self.assertEqual(metrics["Touchmark/Device"].string, "gw-1")
        self.assertEqual(metrics["Touchmark/Label"].string, "plant")
        self.assertEqual(metrics["Touchmark/State"].string, "waiting")
        for name in ("Request", "Offer", "Response"):
            self.assertTrue(metrics[f"Touchmark/{name}"].is_null)

    def test_tck_id_topics_dbirth_metrics(self):
        payload = decoded(written("dbirth"))
        self.assertEqual((payload.timestamp, payload.seq), (NOW, 129))
        metrics = self.by_name(payload)
        self.assertEqual(len(metrics), 6)
        self.assertTrue(metrics["Touchmark/Device"].is_null)
        self.assertEqual(metrics["Touchmark/State"].string, "idle")

    def test_tck_id_payloads_ndeath_bdseq(self):
        payload = decoded(written("ndeath"))
        self.assertFalse(payload.HasField("seq"))
        metric, = payload.metrics
        self.assertEqual((metric.name, metric.datatype, metric.long), ("bdSeq", INT64, 200))

    def test_tck_id_payloads_ndata_seq(self):
        payload = decoded(written("data"))
        self.assertEqual((payload.timestamp, payload.seq), (NOW, 130))
        metrics = self.by_name(payload)
        self.assertEqual(metrics["Touchmark/State"].string, "requested")
        self.assertEqual(metrics["Touchmark/Request"].bytes, CMC)
        for metric in payload.metrics:
            self.assertEqual((metric.timestamp, metric.HasField("datatype")), (NOW, False))

    def test_tck_id_payloads_ncmd_seq(self):
        for what, name, datatype, kind, value in (
                ("rebirth", "Node Control/Rebirth", BOOLEAN, "boolean", True),
                ("offer", "Touchmark/Offer", BYTES, "bytes", CMC),
                ("response", "Touchmark/Response", BYTES, "bytes", CMC)):
            with self.subTest(what):
                payload = decoded(written(what))
                self.assertEqual((payload.timestamp, payload.HasField("seq")), (NOW, False))
                metric, = payload.metrics
                self.assertEqual((metric.name, metric.datatype, metric.WhichOneof("value")),
                                 (name, datatype, kind))
                self.assertEqual(getattr(metric, kind), value)

    def test_tck_id_payloads_metric_datatype_value(self):
        payload = decoded(written("datatypes"))
        self.assertEqual(payload.seq, 255)
        self.assertEqual([(m.datatype, m.WhichOneof("value"), getattr(m, m.WhichOneof("value")))
                          for m in payload.metrics], [
            (INT8, "int", 0xffffff80), (INT16, "int", 32767), (INT32, "int", 0xffffffff),
            (INT64, "long", 2**64 - 1), (UINT8, "int", 255), (UINT16, "int", 65535),
            (UINT32, "int", 2**32 - 1), (UINT64, "long", 2**64 - 1), (FLOAT, "float", -1.5),
            (DOUBLE, "double", 0.1), (BOOLEAN, "boolean", True), (STRING, "string", TEXT),
            (DATETIME, "long", NOW), (TEXT_TYPE, "string", TEXT), (UUID, "string", TEXT),
            (BYTES, "bytes", TEXT.encode()), (FILE, "bytes", TEXT.encode())])
        for i, metric in enumerate(payload.metrics):
            self.assertEqual((metric.alias, metric.is_historical, metric.is_transient),
                             (i, i % 2 == 1, i % 3 == 1))

    def test_what_google_writes_is_the_same(self):
        for what in ("nbirth", "dbirth", "ndeath", "data", "rebirth", "offer", "datatypes"):
            with self.subTest(what):
                octets = written(what)
                self.assertEqual(decoded(octets).SerializeToString(deterministic=True), octets)

    def test_without_a_schema(self):
        self.assertEqual(decoded_raw(written("data")), [
            f"1: {NOW}",
            "2 {", '  1: "Touchmark/State"', f"  3: {NOW}", '  15: "requested"', "}",
            "2 {", '  1: "Touchmark/Request"', f"  3: {NOW}", '  16: "0\\003\\002\\001\\007"', "}",
            "3: 130"])
        self.assertEqual(decoded_raw(written("ndeath")), [
            f"1: {NOW}",
            "2 {", '  1: "bdSeq"', f"  3: {NOW}", "  4: 4", "  11: 200", "}"])
        lines = decoded_raw(written("datatypes"))
        double, = struct.unpack("<Q", struct.pack("<d", 0.1))
        for line in ("  10: 4294967168", f"  11: {2**64 - 1}", "  12: 0xbfc00000",
                     f"  13: 0x{double:016x}", "  14: 1", f"  11: {NOW}", "  5: 1", "  6: 1"):
            self.assertIn(line, lines)


class Read(unittest.TestCase):
    """Others', read by us."""

    def assert_read(self, payload):
        read = read_by_us(payload.SerializeToString())
        self.assertEqual(read["payload"], [
            "ok", str(payload.timestamp) if payload.HasField("timestamp") else "-",
            str(payload.seq) if payload.HasField("seq") else "-", str(len(payload.metrics))])
        self.assertEqual(read["metrics"], [words_of(m) for m in payload.metrics])
        return read

    def birth(self, **changed):
        payload = CLASSES["Payload"](timestamp=NOW, seq=0)
        metrics = {"bdSeq": (INT64, "long", 7), "Node Control/Rebirth": (BOOLEAN, "boolean", False),
                   "Touchmark/Device": (STRING, "string", "gw-7"),
                   "Touchmark/Label": (STRING, None, None),
                   "Touchmark/State": (STRING, "string", "waiting"),
                   "Touchmark/Request": (BYTES, None, None),
                   "Touchmark/Offer": (BYTES, None, None), "Touchmark/Response": (BYTES, None, None),
                   **changed}
        for alias, (name, (datatype, kind, value)) in enumerate(metrics.items()):
            metric = metric_of(payload, name=name, alias=alias, datatype=datatype)
            if kind:
                setattr(metric, kind, value)
            else:
                metric.is_null = True
        return payload

    def test_all_datatypes(self):
        payload = CLASSES["Payload"](timestamp=NOW, seq=17, uuid="an-id", body=b"\0\xff")
        for i, (datatype, kind, value) in enumerate((
                (INT8, "int", 0xffffff80), (INT16, "int", 0x8000), (INT32, "int", 2**32 - 1),
                (INT64, "long", 2**63), (UINT8, "int", 0), (UINT16, "int", 65535),
                (UINT32, "int", 2**32 - 1), (UINT64, "long", 2**64 - 1), (FLOAT, "float", 1.25),
                (FLOAT, "float", float("inf")), (DOUBLE, "double", 0.1),
                (DOUBLE, "double", 5e-324), (BOOLEAN, "boolean", True),
                (BOOLEAN, "boolean", False), (STRING, "string", TEXT), (STRING, "string", ""),
                (DATETIME, "long", NOW), (TEXT_TYPE, "string", "two\nlines"),
                (UUID, "string", "2b9d1a5c"), (BYTES, "bytes", b"\0\x01\xff"),
                (BYTES, "bytes", b""), (FILE, "bytes", b"f" * 3000), (22, "bytes", b"\xef\x7b"),
                (34, "bytes", b"\xc7" * 8))):
            setattr(metric_of(payload, name=f"folder/{i}", datatype=datatype), kind, value)
        self.assert_read(payload)

    def test_aliases_and_flags(self):
        payload = CLASSES["Payload"](seq=0)
        metric_of(payload, alias=0, int=1)
        metric_of(payload, alias=2**64 - 1, is_historical=True, long=1)
        metric_of(payload, name="n", alias=5, is_transient=True, boolean=True)
        metric_of(payload, name="null", datatype=DOUBLE, is_null=True)
        payload.metrics.add()
        self.assert_read(payload)

    def test_what_we_do_not_look_into(self):
        payload = CLASSES["Payload"](timestamp=NOW, seq=3)
        metric = metric_of(payload, name="file", datatype=FILE, bytes=b"data")
        metric.metadata.content_type = "text/plain"
        metric.metadata.size = 4
        metric.metadata.is_multi_part = False
        metric.properties.keys.append("Quality")
        metric.properties.values.add(type=INT32, int=192)
        nested = metric.properties.values.add()
        nested.propertysets.propertyset.add().keys.append("deeper")
        dataset = metric_of(payload, name="table", datatype=DATASET).dataset
        dataset.num_of_columns = 2
        dataset.columns.extend(["a", "b"])
        dataset.types.extend([INT32, STRING])
        row = dataset.rows.add()
        row.elements.add(int=7)
        row.elements.add(string="x")
        template = metric_of(payload, name="motor", datatype=TEMPLATE).template
        template.template_ref = "Motor"
        template.is_definition = False
        template.parameters.add(name="p", type=STRING, string="v")
        inner = template.metrics.add(name="Touchmark/State", datatype=STRING, string="waiting")
        inner.metadata.description = "of a template, and so nobody's state"
        metric_of(payload, name="extended").extension.SetInParent()
        metric_of(payload, name="after", datatype=INT32, int=1)
        read = self.assert_read(payload)
        self.assertEqual([words[5] for words in read["metrics"]],
                         ["bytes", "other", "other", "other", "int"])
        self.assertEqual(read["birth"], ["ok", "x", "x", "-", "x", "-", "----"])

    def test_fields_of_a_later_version(self):
        octets = self.birth().SerializeToString()
        later = octets + b"\xf8\x06\x01" + b"\xfa\x06\x03new" + b"\xfd\x06\x01\x02\x03\x04"
        self.assertEqual(read_by_us(later), read_by_us(octets))

    def test_a_foreign_birth(self):
        read = self.assert_read(self.birth())
        self.assertEqual(read["birth"], ["ok", x("gw-7"), "x", "waiting", "x", "7", "rqos"])
        payload = self.birth(**{"Touchmark/Device": (STRING, None, None),
                                "Touchmark/Label": (STRING, "string", "plant"),
                                "bdSeq": (UINT64, "long", 0),
                                "Temperature": (DOUBLE, "double", 21.5)})
        self.assertEqual(self.assert_read(payload)["birth"],
                         ["ok", "x", x("plant"), "waiting", "x", "0", "rqos"])

    def test_foreign_births_that_break_the_contract(self):
        for changed in ({"Touchmark/State": (TEXT_TYPE, "string", "waiting")},
                        {"Touchmark/State": (STRING, "string", "awaiting")},
                        {"Touchmark/State": (STRING, "int", 1)},
                        {"Touchmark/Request": (FILE, None, None)},
                        {"Touchmark/Offer": (STRING, None, None)},
                        {"Touchmark/Device": (STRING, "string", "a/b")},
                        {"Node Control/Rebirth": (UINT8, "int", 0)}):
            with self.subTest(changed):
                self.assertEqual(self.assert_read(self.birth(**changed))["birth"], ["malformed"])

    def test_foreign_data_and_commands(self):
        payload = CLASSES["Payload"](timestamp=NOW, seq=1)
        metric_of(payload, name="Touchmark/Request", bytes=CMC)
        metric_of(payload, name="Touchmark/State", datatype=STRING, string="requested")
        self.assertEqual(self.assert_read(payload)["data"],
                         ["ok", "x", "x", "requested", x(CMC), "-", "-q--"])
        payload = CLASSES["Payload"](timestamp=NOW)
        metric_of(payload, name="Touchmark/Offer", datatype=BYTES, bytes=b"offer")
        metric_of(payload, name="Touchmark/Response", bytes=b"response")
        metric_of(payload, name="Node Control/Rebirth", boolean=True)
        self.assertEqual(self.assert_read(payload)["command"],
                         ["ok", "rebirth", x("offer"), x("response")])

    def test_other_octets_are_no_payload(self):
        octets = self.birth().SerializeToString()
        self.assertEqual(read_by_us(b'{"online":true}')["payload"], ["malformed"])
        self.assertEqual(read_by_us(octets[:-1])["payload"], ["malformed"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
