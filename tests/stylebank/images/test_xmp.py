from __future__ import annotations

from xml.dom import minidom

import pytest

from stylebank.images.xmp import kept_properties

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"


def packet(*descriptions: str) -> bytes:
    inner = "".join(descriptions)
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}">{inner}</rdf:RDF></x:xmpmeta>'.encode()


def description(namespaces: dict[str, str], attributes: str = "", elements: str = "") -> str:
    declared = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in namespaces.items())
    return f'<rdf:Description rdf:about="" {declared} {attributes}>{elements}</rdf:Description>'


DC = {"dc": "http://purl.org/dc/elements/1.1/"}
LANGUAGES = (
    '<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Sea</rdf:li>'
    '<rdf:li xml:lang="de">Meer</rdf:li></rdf:Alt></dc:title>'
    "<dc:subject><rdf:Bag><rdf:li>sea</rdf:li><rdf:li>gr\u00fcn &amp; blau</rdf:li></rdf:Bag></dc:subject>"
)


def test_lists_languages_and_special_characters_stay() -> None:
    kept = kept_properties(packet(description(DC, elements=LANGUAGES)))
    root = minidom.parseString(kept)
    items = [(node.getAttribute("xml:lang"), node.firstChild.data) for node in root.getElementsByTagName("rdf:li")]
    assert items == [("x-default", "Sea"), ("de", "Meer"), ("", "sea"), ("", "gr\u00fcn & blau")]
    assert kept_properties(kept) == kept


@pytest.mark.parametrize(
    ("uri", "statement"),
    [
        ("http://www.metadataworkinggroup.com/schemas/regions/", "Regions"),
        ("http://ns.microsoft.com/photo/1.2/", "RegionInfo"),
        ("http://ns.google.com/photos/1.0/panorama/", "FullPanoWidthPixels"),
        ("http://ns.google.com/photos/1.0/camera/", "MotionPhoto"),
        ("http://ns.google.com/photos/1.0/container/", "Directory"),
        ("http://ns.google.com/photos/1.0/depthmap/", "Data"),
        ("http://ns.adobe.com/hdr-gain-map/1.0/", "Version"),
        ("http://ns.adobe.com/camera-raw-settings/1.0/", "CropTop"),
        ("http://ns.adobe.com/xap/1.0/mm/", "History"),
        ("http://ns.adobe.com/xap/1.0/", "Thumbnails"),
        ("http://ns.adobe.com/xmp/note/", "HasExtendedXMP"),
        ("http://ns.adobe.com/tiff/1.0/", "Orientation"),
        ("http://ns.adobe.com/tiff/1.0/", "XResolution"),
        ("http://ns.adobe.com/exif/1.0/", "PixelXDimension"),
        ("http://ns.adobe.com/exif/1.0/", "SubjectArea"),
        ("http://ns.adobe.com/exif/1.0/", "FocalPlaneXResolution"),
        ("http://ns.adobe.com/photoshop/1.0/", "ICCProfile"),
        ("http://iptc.org/std/Iptc4xmpExt/2008-02-29/", "ImageRegion"),
        ("http://iptc.org/std/Iptc4xmpExt/2008-02-29/", "MaxAvailWidth"),
        ("http://purl.org/dc/elements/1.1/", "format"),
        ("http://example.org/unknown/", "Anything"),
    ],
)
def test_statements_about_pixels_edits_and_other_data_are_dropped_as_attribute_and_as_element(
    uri: str, statement: str
) -> None:
    title = description(DC, elements=LANGUAGES)
    expected = kept_properties(packet(title))
    as_attribute = description({"n": uri}, f'n:{statement}="1"')
    as_element = description(
        {"n": uri}, elements=f'<n:{statement} rdf:parseType="Resource"><n:x>1</n:x></n:{statement}>'
    )
    for other in (as_attribute, as_element):
        assert kept_properties(packet(title, other)) == kept_properties(packet(other, title)) == expected
        assert kept_properties(packet(other)) == b""


@pytest.mark.parametrize(
    ("uri", "statement"),
    [
        ("http://ns.adobe.com/xap/1.0/", "CreateDate"),
        ("http://ns.adobe.com/xap/1.0/", "Rating"),
        ("http://ns.adobe.com/xap/1.0/rights/", "UsageTerms"),
        ("http://ns.adobe.com/photoshop/1.0/", "Headline"),
        ("http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/", "CountryCode"),
        ("http://iptc.org/std/Iptc4xmpExt/2008-02-29/", "PersonInImage"),
        ("http://ns.adobe.com/tiff/1.0/", "Make"),
        ("http://ns.adobe.com/exif/1.0/", "GPSLatitude"),
        ("http://ns.adobe.com/exif/1.0/", "FNumber"),
        ("http://cipa.jp/exif/1.0/", "LensModel"),
        ("http://ns.adobe.com/exif/1.0/aux/", "Lens"),
        ("http://ns.adobe.com/lightroom/1.0/", "hierarchicalSubject"),
    ],
)
def test_statements_about_the_photograph_stay_whatever_their_prefix(uri: str, statement: str) -> None:
    for source in (
        description({"n": uri}, f'n:{statement}="some value"'),
        description({"n": uri}, elements=f"<n:{statement}>some value</n:{statement}>"),
    ):
        root = minidom.parseString(kept_properties(packet(source)))
        nodes = root.getElementsByTagNameNS(uri, statement)
        texts = [node.firstChild.data for node in nodes] + [
            element.getAttributeNS(uri, statement)
            for element in root.getElementsByTagNameNS(RDF, "Description")
            if element.hasAttributeNS(uri, statement)
        ]
        assert texts == ["some value"]


@pytest.mark.parametrize(
    "data",
    [b"<x", b"\xff\xfe", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', packet("&undeclared;"), b"plain text"],
)
def test_broken_packets_and_entities_raise(data: bytes) -> None:
    with pytest.raises(Exception):  # noqa: B017 - parsers raise errors of every kind
        kept_properties(data)
