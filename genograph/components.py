"""Entries of a registry as a config names them: `{name: gat, heads: 4}`.

The options of a component are the keyword-only parameters of the class that the registry names, so the class is
the one place where its options, their types and defaults stand.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, create_model

from genograph.errors import InputError, nearest


class Component(BaseModel):
    """One entry of a registry with its options: `{name: hic, top_k: 8}`."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: str

    @property
    def options(self) -> dict[str, Any]:
        """The options as written; the class supplies the rest."""
        return dict(self.model_extra or {})


def in_registry(registry: Mapping[str, type]) -> Any:
    """A `Component` whose name is in `registry` and whose options are those of the class it names."""

    def check(component: Component) -> Component:
        if component.name not in registry:
            raise InputError(f"no '{component.name}' here.{nearest(component.name, registry)}")
        return Component(
            name=component.name, **check_options(registry[component.name], component.options, component.name)
        )

    return Annotated[Component, AfterValidator(check)]


@cache
def _options_model(component: Callable) -> type[BaseModel]:
    owner = component.__init__ if inspect.isclass(component) else component
    hints = typing.get_type_hints(owner, include_extras=True)
    keywords = {
        name: (hints[name], ... if parameter.default is inspect.Parameter.empty else parameter.default)
        for name, parameter in inspect.signature(component).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    return create_model("Options", __config__=ConfigDict(extra="forbid"), **keywords)


def check_options(component: Callable, options: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The options with their declared types, those left out staying out.

    Args:
        component: A class or function; its keyword-only parameters are the options.
        options: What the config says.
        name: What the config calls it, for the error.

    Raises:
        InputError: If an option is unknown, missing or of another type.
    """
    model = _options_model(component)
    for option in options:
        if option not in model.model_fields:
            raise InputError(f"'{name}' has no option '{option}'.{nearest(option, model.model_fields)}")
    try:
        checked = model.model_validate(dict(options))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"'{name}': {where}: {first['msg']}; got {first['input']!r}.") from None
    return checked.model_dump(exclude_unset=True)
