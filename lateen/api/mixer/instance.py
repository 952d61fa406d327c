"""Instance: what is made of the attributes of a request for an adapter."""

from collections.abc import Iterator

from lateen.api.fields import EMPTY_MAP, FreeFormMap
from lateen.api.mixer import templates
from lateen.api.mixer.expression_fields import Bindings
from lateen.api.mixer.structs import MixerStruct, TemplateParams
from lateen.api.parsing import parse
from lateen.api.structs import Problem, exactly_one


class Instance(MixerStruct):
    """The fields of a template, each an expression over attributes.

    `compiledTemplate` names a template that is built in, `template` one of an own kind `template`, or a built-in one.
    """

    compiled_template: str = ""
    template: str = ""
    params: FreeFormMap = EMPTY_MAP
    attribute_bindings: Bindings = EMPTY_MAP

    @property
    def fields(self) -> TemplateParams | None:
        """The fields of a built-in template; None for others."""
        row = templates.template(self.compiled_template or self.template)
        if row is None:
            return None
        parsed = parse(row.params, self.params)
        return None if isinstance(parsed, tuple) else parsed

    def problems(self) -> Iterator[Problem]:
        yield from exactly_one(self, "compiled_template", "template")
        name = self.compiled_template or self.template
        row = templates.template(name)
        if self.compiled_template and row is None:
            yield Problem(f"unknown template {name}; {templates.near_templates(name)}", "compiledTemplate")
        parsed = parse(row.params, self.params, "params") if row is not None else None
        if isinstance(parsed, tuple):
            yield from (Problem(fault.message, fault.path) for fault in parsed)
        if self.attribute_bindings and row is not None and not row.output:
            yield Problem(f"must be left out: the template {row.name} answers nothing", "attributeBindings")
