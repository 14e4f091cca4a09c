"""The elements that SVG 1.1 and 2, and Inkscape's drafts of 1.2, draw with.

Not among them: script, handler, listener, foreignObject, audio, video, iframe, canvas.
"""

ELEMENTS = frozenset(
    """
    a altGlyph altGlyphDef altGlyphItem animate animateColor animateMotion animateTransform circle clipPath
    color-profile cursor defs desc ellipse filter flowDiv flowPara flowRegion flowRoot flowSpan font font-face
    font-face-format font-face-name font-face-src font-face-uri g glyph glyphRef hatch hatchpath hkern image line
    linearGradient marker mask mesh meshgradient meshpatch meshrow metadata missing-glyph mpath path pattern polygon
    polyline radialGradient rect set solidcolor solidColor stop style svg switch symbol text textPath title tref
    tspan use view vkern feBlend feColorMatrix feComponentTransfer feComposite feConvolveMatrix feDiffuseLighting
    feDisplacementMap feDistantLight feDropShadow feFlood feFuncA feFuncB feFuncG feFuncR feGaussianBlur feImage
    feMerge feMergeNode feMorphology feOffset fePointLight feSpecularLighting feSpotLight feTile feTurbulence
    """.split()  # noqa: SIM905 - a list of quoted names would be three screens
)
