"""Copy what XMP says about a photograph to another image.

Properties are copied by a list of what stays true of an image of another size: dates, camera, lens, exposure, place,
author, rights, title, keywords and rating. Regions, crops, edits, panoramas, gain maps, histories and everything
unknown are not.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from xml.dom import minidom

_RDF, _META = "http://www.w3.org/1999/02/22-rdf-syntax-ns#", "adobe:ns:meta/"
_XMLNS, _XML = "http://www.w3.org/2000/xmlns/", "http://www.w3.org/XML/1998/namespace"
_PREFIXES = {_RDF: "rdf", _META: "x"}
_BEGIN = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
_END = '<?xpacket end="w"?>'
#: Properties that are copied, by the namespace's usual prefix and its name.
_KEPT: dict[tuple[str, str], str] = {
    ("dc", "http://purl.org/dc/elements/1.1/"): """
        contributor coverage creator date description identifier language publisher relation rights source subject
        title type""",
    ("xmp", "http://ns.adobe.com/xap/1.0/"): """
        CreateDate CreatorTool Label MetadataDate ModifyDate Nickname Rating""",
    ("xmpRights", "http://ns.adobe.com/xap/1.0/rights/"): "Certificate Marked Owner UsageTerms WebStatement",
    ("plus", "http://ns.useplus.org/ldf/xmp/1.0/"): """
        CopyrightOwner CopyrightRegistrationNumber CopyrightStatus CreditLineRequired DataMining ImageCreator
        ImageSupplier Licensee LicenseID LicenseStartDate LicenseEndDate Licensor MinorModelAgeDisclosure
        ModelReleaseID ModelReleaseStatus OtherConstraints OtherLicenseConditions PropertyReleaseID
        PropertyReleaseStatus TermsAndConditionsText TermsAndConditionsURL""",
    ("cc", "http://creativecommons.org/ns#"): "attributionName attributionURL license morePermissions",
    ("photoshop", "http://ns.adobe.com/photoshop/1.0/"): """
        AuthorsPosition CaptionWriter Category City Country Credit DateCreated Headline Instructions Source State
        SupplementalCategories TransmissionReference Urgency""",
    ("Iptc4xmpCore", "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/"): """
        AltTextAccessibility CountryCode CreatorContactInfo ExtDescrAccessibility IntellectualGenre Location Scene
        SubjectCode""",
    ("Iptc4xmpExt", "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"): """
        AboutCvTerm AddlModelInfo ArtworkOrObject Contributor Event EventId Genre LocationCreated LocationShown
        ModelAge OrganisationInImageCode OrganisationInImageName PersonInImage PersonInImageWDetails
        ProductInImage""",
    ("tiff", "http://ns.adobe.com/tiff/1.0/"): "Artist Copyright DateTime ImageDescription Make Model Software",
    ("exif", "http://ns.adobe.com/exif/1.0/"): """
        ApertureValue BrightnessValue Contrast DateTimeDigitized DateTimeOriginal DigitalZoomRatio ExifVersion
        ExposureBiasValue ExposureIndex ExposureMode ExposureProgram ExposureTime FNumber FileSource Flash FlashEnergy
        FocalLength FocalLengthIn35mmFilm GainControl ISOSpeedRatings LightSource MaxApertureValue MeteringMode
        Saturation SceneCaptureType SceneType SensingMethod Sharpness ShutterSpeedValue SpectralSensitivity
        SubjectDistance SubjectDistanceRange UserComment WhiteBalance
        GPSAltitude GPSAltitudeRef GPSAreaInformation GPSDOP GPSDestBearing GPSDestBearingRef GPSDestDistance
        GPSDestDistanceRef GPSDestLatitude GPSDestLongitude GPSDifferential GPSHPositioningError GPSImgDirection
        GPSImgDirectionRef GPSLatitude GPSLongitude GPSMapDatum GPSMeasureMode GPSProcessingMethod GPSSatellites
        GPSSpeed GPSSpeedRef GPSStatus GPSTimeStamp GPSTrack GPSTrackRef GPSVersionID""",
    ("exifEX", "http://cipa.jp/exif/1.0/"): """
        Acceleration AmbientTemperature BodySerialNumber CameraElevationAngle CameraFirmware CameraOwnerName Humidity
        ISOSpeed ISOSpeedLatitudeyyy ISOSpeedLatitudezzz ImageEditor ImageTitle LensMake LensModel LensSerialNumber
        LensSpecification OffsetTime OffsetTimeDigitized OffsetTimeOriginal PhotographicSensitivity Photographer
        Pressure RecommendedExposureIndex SensitivityType StandardOutputSensitivity WaterDepth""",
    ("aux", "http://ns.adobe.com/exif/1.0/aux/"): """
        ApproximateFocusDistance Firmware FlashCompensation ImageNumber Lens LensID LensInfo LensSerialNumber OwnerName
        SerialNumber""",
    ("lr", "http://ns.adobe.com/lightroom/1.0/"): "hierarchicalSubject weightedFlatSubject",
    ("digiKam", "http://www.digikam.org/ns/1.0/"): "TagsList",
    ("MicrosoftPhoto", "http://ns.microsoft.com/photo/1.0/"): """
        LastKeywordIPTC LastKeywordXMP LensManufacturer LensModel Rating""",
    ("mwg-kw", "http://www.metadataworkinggroup.com/schemas/keywords/"): "Keywords",
}
_NAMES = {namespace: frozenset(names.split()) for (_prefix, namespace), names in _KEPT.items()}
_PREFIXES |= {namespace: prefix for prefix, namespace in _KEPT}


def kept_properties(packet: bytes) -> bytes:
    """Return a packet with the properties that are copied; empty if there are none.

    Parameters
    ----------
    packet
        XML in UTF-8.

    Raises
    ------
    Exception
        If it is no XML, or declares a document type or entities.
    """
    properties: dict[tuple[str, str], minidom.Attr | minidom.Element] = {}
    for node in statements(packet):
        name = (node.namespaceURI or "", node.localName or "")
        if name[1] in _NAMES.get(name[0], ()):
            properties.setdefault(name, node)
    return _packet(list(properties.values())) if properties else b""


def statements(packet: bytes) -> Iterator[minidom.Attr | minidom.Element]:
    """Yield the properties that a packet states, each an attribute or an element of an rdf:Description.

    Parameter and errors are those of `kept_properties`.
    """
    text = packet.decode("utf-8")
    if "<!" in text.replace("<!--", "").replace("<![CDATA[", ""):
        raise ValueError("XMP declares no document type and no entities")
    root = minidom.parse(io.BytesIO(text.encode())).documentElement
    assert root is not None
    for rdf in (root, *_elements(root)):
        if (rdf.namespaceURI, rdf.localName) != (_RDF, "RDF"):
            continue
        for description in _elements(rdf):
            if (description.namespaceURI, description.localName) == (_RDF, "Description"):
                for attribute in description.attributes.values():
                    if attribute.namespaceURI not in {None, _XMLNS, _XML, _RDF}:
                        yield attribute
                yield from _elements(description)


def _elements(parent: minidom.Element) -> list[minidom.Element]:
    return [node for node in parent.childNodes if isinstance(node, minidom.Element)]


def _packet(properties: list[minidom.Attr | minidom.Element]) -> bytes:
    """Return a packet with these properties alone."""
    document = minidom.Document()
    prefixes = dict(_PREFIXES)
    meta, rdf, description = (
        document.createElementNS(namespace, name)
        for namespace, name in ((_META, "x:xmpmeta"), (_RDF, "rdf:RDF"), (_RDF, "rdf:Description"))
    )
    document.appendChild(meta)
    meta.appendChild(rdf)
    rdf.appendChild(description)
    description.setAttributeNS(_RDF, "rdf:about", "")
    for node in properties:
        _copy(node, description, prefixes)
    for element in document.getElementsByTagName("*"):
        used = {element.namespaceURI, *(attribute.namespaceURI for attribute in element.attributes.values())}
        for namespace in sorted(name for name in used if name and name != _XML):
            root = {_META: meta, _RDF: rdf}.get(namespace, description)
            root.setAttributeNS(_XMLNS, f"xmlns:{prefixes[namespace]}", namespace)
    return f"{_BEGIN}{meta.toxml()}{_END}".encode()


def _copy(node: minidom.Node, parent: minidom.Element, prefixes: dict[str, str]) -> None:
    """Append a copy of a node and what is in it, with one prefix per namespace, without comments."""
    document = parent.ownerDocument
    assert document is not None
    if isinstance(node, minidom.Attr):
        if node.namespaceURI != _XMLNS:
            parent.setAttributeNS(node.namespaceURI, _qualified(node, prefixes), node.value)
    elif isinstance(node, minidom.Element):
        copy = document.createElementNS(node.namespaceURI, _qualified(node, prefixes))
        parent.appendChild(copy)
        for inner in (*node.attributes.values(), *node.childNodes):
            _copy(inner, copy, prefixes)
    elif isinstance(node, minidom.Text):  # CDATA, too
        parent.appendChild(document.createTextNode(node.data))


def _qualified(node: minidom.Attr | minidom.Element, prefixes: dict[str, str]) -> str:
    namespace, name = node.namespaceURI, node.localName or node.nodeName
    if not namespace:
        return name
    if namespace == _XML:
        return f"xml:{name}"
    prefix = prefixes.setdefault(namespace, node.prefix or "ns")
    while list(prefixes.values()).count(prefix) > 1:
        prefix = prefixes[namespace] = f"{prefix}_"
    return f"{prefix}:{name}"
