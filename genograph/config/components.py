"""Components as a config names them: `{name: gat, heads: 4}`, or with a class of one's own `{name: mine.py:GAT}`.

The options of a component are the keyword-only parameters of its class, so the class is the one place where its
options, their types and defaults stand.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, create_model, model_validator
from pydantic.errors import PydanticSchemaGenerationError

from genograph.config.own_class import is_own, label, located, own_class, own_file
from genograph.errors import InputError, nearest


@dataclass(frozen=True)
class Contract:
    """What classes of one kind of component have in common, and one's own must have too.

    Attributes:
        registry: Those that come with genograph, by name.
        parent: What they derive from.
        takes: Their positional parameters; all others are options, and keyword-only.
        has: Attributes of what they make.
    """

    registry: Mapping[str, type]
    parent: type = object
    takes: tuple[str, ...] = ()
    has: tuple[str, ...] = ()

    def find(self, name: str) -> type:
        """The class of a name.

        Raises:
            InputError: If there is none, or it is not of this kind.
        """
        if name in self.registry:
            return self.registry[name]
        if not is_own(name):
            raise InputError(f"no '{name}' here.{nearest(name, self.registry)}")
        found = own_class(name)
        if not issubclass(found, self.parent):
            wanted = f"{self.parent.__module__}.{self.parent.__qualname__}"
            raise InputError(f"'{label(name)}' is not a {wanted}; derive it from that.")
        parameters = inspect.signature(found).parameters.values()
        given = [each.name for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
        if len(given) != len(self.takes) and all(each.kind != each.VAR_POSITIONAL for each in parameters):
            raise InputError(
                f"'{label(name)}' takes ({', '.join(given)}), but is given ({', '.join(self.takes)}). "
                "Its options are keyword-only: they come after a *, or are fields of a dataclass(kw_only=True)."
            )
        return found

    def check(self, made: object, name: str) -> None:
        """That what a class of one's own made has all that is asked of it.

        Raises:
            InputError: If not.
        """
        for attribute in self.has:
            if not hasattr(made, attribute):
                raise InputError(f"'{label(name)}' has no '{attribute}'. It needs {', '.join(self.has)}.")


class Component(BaseModel):
    """One component with its options: `{name: hic, top_k: 8}`. A subclass is one kind of them."""

    model_config = ConfigDict(extra="allow", frozen=True)
    contract: ClassVar[Contract]
    name: str  # registered, or of a class of one's own: with the absolute path of its file

    @model_validator(mode="before")
    @classmethod
    def _known(cls, tree: Any, info: ValidationInfo) -> Any:
        if isinstance(tree, Mapping) and inspect.isclass(tree.get("name")):
            raise InputError(
                f"a config names a class, so that a run finds it again. Put {tree['name'].__name__} in a file and name "
                f"that: path/to/file.py:{tree['name'].__name__}"
            )
        if not isinstance(tree, Mapping) or not isinstance(tree.get("name"), str):
            return tree
        return cls.checked(tree, (info.context or {}).get("folder", Path()))

    @classmethod
    def checked(cls, tree: Mapping[str, Any], folder: Path) -> dict[str, Any]:
        """Name and options, checked; relative paths start from `folder`.

        Raises:
            InputError: If there is no such class, or an option is wrong.
        """
        name = located(tree["name"], folder)
        options = {key: value for key, value in tree.items() if key != "name"}
        return {"name": name, **check_options(cls.contract.find(name), options, label(name), folder)}

    @property
    def options(self) -> dict[str, Any]:
        """The options as written; the class supplies the rest."""
        return dict(self.model_extra or {})

    @property
    def label(self) -> str:
        """Its name, wherever its file lies."""
        return label(self.name)

    @property
    def kind(self) -> type:
        """The class."""
        return self.contract.find(self.name)

    def files(self, key: str) -> dict[str, Path]:
        """The files that it is read from, by the key of each in a config in which it stands at `key`."""
        file = own_file(self.name)
        own = {} if file is None else {f"{key}.name": file}
        return own | {f"{key}.{name}": value for name, value in self.options.items() if isinstance(value, Path)}

    def build(self, *given: Any) -> Any:
        """What the class makes of `given`, see `Contract.takes`, and the options.

        Raises:
            InputError: If the values of options do not fit, or a class of one's own lacks something.
        """
        try:
            made = self.kind(*given, **self.options)
        except TypeError as error:
            if is_own(self.name):
                raise InputError(f"'{self.label}' cannot be made: {error}.") from error
            raise
        if is_own(self.name):
            self.contract.check(made, self.name)
        return made


@cache
def _options_model(component: Callable) -> type[BaseModel]:
    owner = component.__init__ if inspect.isclass(component) else component
    hints = typing.get_type_hints(owner, include_extras=True)
    keywords = {
        name: (hints.get(name, Any), ... if parameter.default is inspect.Parameter.empty else parameter.default)
        for name, parameter in inspect.signature(component).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    return create_model("Options", __config__=ConfigDict(extra="forbid"), **keywords)


def check_options(component: Callable, options: Mapping[str, Any], name: str, folder: Path = Path()) -> dict[str, Any]:
    """The options with their declared types, those left out staying out; one that is a path is made absolute.

    Args:
        component: A class or function; its keyword-only parameters are the options.
        options: What the config says.
        name: What the config calls it, for the error.
        folder: Where relative paths start from.

    Raises:
        InputError: If an option is unknown, missing or of another type.
    """
    try:
        model = _options_model(component)
    except (PydanticSchemaGenerationError, NameError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"'{name}': the type of an option is none that YAML could give: {reason}") from error
    for option in options:
        if option not in model.model_fields:
            raise InputError(f"'{name}' has no option '{option}'.{nearest(option, model.model_fields)}")
    try:
        checked = model.model_validate(dict(options))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        if first["type"] == "missing":
            raise InputError(f"'{name}': {where}: {first['msg']}, as it has no default.") from None
        raise InputError(f"'{name}': {where}: {first['msg']}; got {first['input']!r}.") from None
    values = checked.model_dump(exclude_unset=True)
    return {
        option: folder.joinpath(value.expanduser()).resolve() if isinstance(value, Path) else value
        for option, value in values.items()
    }
