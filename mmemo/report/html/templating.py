"""Jinja templates of all HTML pages, with autoescape: only our own styles, scripts and drawings are safe markup."""

from __future__ import annotations

from base64 import b64encode
from functools import lru_cache, partial
from hashlib import sha256

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mmemo.report.style import colors
from mmemo.report.style.clock import timestamp, total
from mmemo.report.style.wording import (
    LIMITS,
    VOCAL_BURST,
    label_with_share,
    micro_expression_title,
    name_of,
    speaking_share,
)

_PAGES = "mmemo.report.html"


def render(template: str, package: str = _PAGES, **values: object) -> Markup:
    """A template filled with values, as safe markup; strings among the values are escaped.

    Args:
        template: file name in the folder ``templates`` of ``package``, or of this one.
    """
    return Markup(environment(package).get_template(template).render(values))


@lru_cache
def environment(package: str) -> Environment:
    """Environment of a package's templates, which may extend and import those of this one."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in dict.fromkeys((package, _PAGES))]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    environment.globals |= {"asset": partial(_asset, environment), "LIMITS": LIMITS, "colors": colors.colors}
    environment.globals["VOCAL_BURST"] = VOCAL_BURST
    environment.globals |= {
        name: getattr(colors, name) for name in ("TEXT", "FAINT", "OUTLINE", "RULE", "EMPTY", "ACCENT")
    }
    environment.filters |= {
        "csp_hash": _csp_hash,
        "label_with_share": label_with_share,
        "micro_expression_title": micro_expression_title,
        "name_of": name_of,
        "number": format,
        "speaking_share": speaking_share,
        "timestamp": timestamp,
        "total": total,
    }
    return environment


def element(tag: str, content: str = "", /, **attributes: object) -> Markup:
    """An SVG element. Content and values are escaped unless they are markup.

    Args:
        attributes: by name, with ``_`` in place of ``-``.
    """
    pairs = (Markup(' {}="{}"').format(name.replace("_", "-"), value) for name, value in attributes.items())
    return Markup("<{0}{1}>{2}</{0}>").format(tag, Markup("").join(pairs), content)


def _asset(environment: Environment, name: str) -> Markup:
    """A style or script that lies among the templates, as it is."""
    assert environment.loader is not None
    source, _, _ = environment.loader.get_source(environment, name)
    return Markup(source.strip())


def _csp_hash(script: str) -> str:
    """Source expression of a Content Security Policy that allows one script."""
    return f"sha256-{b64encode(sha256(script.encode()).digest()).decode()}"
