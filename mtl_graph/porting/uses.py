"""Where Python sources use TensorFlow, under its full names."""

import ast
from typing import FrozenSet, Iterable, List, NamedTuple, Optional

from mtl_graph.porting import bindings
from mtl_graph.porting import python_files

# Packages whose names are looked up. Sonnet and the like are no part of it.
ROOTS = ("tensorflow", "tensorflow_core", "tensorflow_estimator", "tf_slim")
_CAUGHT = {"ImportError", "ModuleNotFoundError", "AttributeError", "Exception",
           "BaseException"}


class Use(NamedTuple):
  """One place that names something of TensorFlow.

  Attributes:
    path: Path of the file.
    line: Line, from 1.
    column: Column, from 1.
    end_line: Line in which it ends.
    end_column: Column behind its end.
    names: What it may stand for, as "tensorflow.nn.relu".
    others: What else it may stand for, outside TensorFlow.
    text: How it is written.
    kind: "import" of a module, "from" of a name, "name" where it is used,
      "wildcard" where a wildcard may have brought it, "dynamic" for `getattr`
      with a name that is not written out.
    guarded: Whether it stands where its failing is caught.
    call: The call whose function it is, or None.
    bare: Whether it is written without a dot.
  """
  path: str
  line: int
  column: int
  end_line: int
  end_column: int
  names: FrozenSet[str]
  others: FrozenSet[str]
  text: str
  kind: str
  guarded: bool
  call: Optional[ast.Call]
  bare: bool


def _is_tensorflow(name):
  return name.partition(".")[0] in ROOTS


class _Reader(ast.NodeVisitor):
  """Gathers the uses of one module."""

  def __init__(self, module, resolver):
    self.uses: List[Use] = []
    self._module = module
    self._resolver = resolver
    self._scope = module.scope
    self._guards = 0

  def _add(self, node, names, kind, text, call=None):
    inside = frozenset(filter(_is_tensorflow, names))
    if inside:
      self.uses.append(Use(
          self._module.source.path, node.lineno, node.col_offset + 1,
          node.end_lineno, node.end_col_offset + 1, inside, names - inside,
          text, kind, self._guards > 0, call, isinstance(node, ast.Name)))
    return bool(inside)

  def visit_Import(self, node):
    for alias in node.names:
      text = f"import {alias.name}" + (
          f" as {alias.asname}" if alias.asname else "")
      self._add(alias, frozenset([alias.name]), "import", text)

  def visit_ImportFrom(self, node):
    module = bindings.imported_from(node, self._module.source)
    for alias in node.names:
      name = module if alias.name == "*" else f"{module}.{alias.name}"
      kind = "import" if alias.name == "*" else "from"
      self._add(alias, frozenset([name]), kind,
                f"from {module} import {alias.name}" + (
                    f" as {alias.asname}" if alias.asname else ""))

  def visit_Try(self, node):
    caught = any(
        handler.type is None or _CAUGHT & {
            n.id for n in ast.walk(handler.type) if isinstance(n, ast.Name)}
        for handler in node.handlers)
    self._guards += caught
    for statement in node.body:
      self.visit(statement)
    self._guards -= caught
    for part in node.handlers + node.orelse + node.finalbody:
      self.visit(part)

  def visit_Attribute(self, node):
    self._name(node)

  def visit_Name(self, node):
    if isinstance(node.ctx, ast.Load):
      self._name(node)

  def _name(self, node, call=None):
    if not self._bare_alias(node):
      names = self._resolver.resolve(node, self._scope, self._module)
      first = node
      while isinstance(first, ast.Attribute):
        first = first.value
      wild = (isinstance(first, ast.Name)
              and self._scope.find(first.id) is None)
      if self._add(node, names, "wildcard" if wild else "name",
                   ast.unparse(node), call):
        self._arguments_within(node)
        return
    if isinstance(node, ast.Attribute):
      self.visit(node.value)

  def _bare_alias(self, node):
    """Returns whether a name is a variable that holds what was named before."""
    if not isinstance(node, ast.Name):
      return False
    found = self._scope.find(node.id)
    return found is not None and not found[0].imports

  def _arguments_within(self, node):
    """Visits the arguments of `f(x).y`, of which the rest is one name."""
    while isinstance(node, ast.Attribute):
      node = node.value
    if isinstance(node, ast.Call):
      for part in node.args[1:] + node.keywords:
        self.visit(part)

  def visit_Call(self, node):
    if isinstance(node.func, ast.Name) and node.func.id == "getattr" and len(
        node.args) in (2, 3):
      names = self._resolver.resolve(node, self._scope, self._module)
      if self._add(node, names, "name", ast.unparse(node)):
        if len(node.args) == 3:
          self.visit(node.args[2])
        return
      if not isinstance(node.args[1], ast.Constant):
        bases = self._resolver.resolve(node.args[0], self._scope, self._module)
        if self._add(node, bases, "dynamic", ast.unparse(node)):
          self.visit(node.args[1])
          return
    if isinstance(node.func, (ast.Attribute, ast.Name)):
      self._name(node.func, node)
    else:
      self.visit(node.func)
    for part in node.args + node.keywords:
      self.visit(part)

  def _within(self, node, parts):
    outer, self._scope = self._scope, self._module.scopes[node]
    for part in parts:
      self.visit(part)
    self._scope = outer

  def _function(self, node):
    arguments = node.args
    every = (arguments.posonlyargs + arguments.args + arguments.kwonlyargs
             + [arguments.vararg, arguments.kwarg])
    outside = arguments.defaults + arguments.kw_defaults + [
        argument.annotation for argument in every if argument is not None]
    outside += getattr(node, "decorator_list", [])
    outside.append(getattr(node, "returns", None))
    for part in outside:
      if part is not None:
        self.visit(part)
    self._within(node, node.body if isinstance(node.body, list)
                 else [node.body])

  visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = _function

  def visit_ClassDef(self, node):
    for part in node.decorator_list + node.bases + node.keywords:
      self.visit(part)
    self._within(node, node.body)

  def _comprehension(self, node):
    self._within(node, ast.iter_child_nodes(node))

  visit_ListComp = visit_SetComp = visit_DictComp = _comprehension
  visit_GeneratorExp = _comprehension


def gather(sources: Iterable[python_files.Source]) -> List[Use]:
  """Returns every use of TensorFlow in sources that may import each other.

  Args:
    sources: The sources; those that could not be parsed are left out.

  Returns:
    The uses, file by file in the order of the lines.
  """
  modules = [bindings.collect(source) for source in sources
             if source.tree is not None]
  resolver = bindings.Resolver(modules)
  found = []
  for module in modules:
    reader = _Reader(module, resolver)
    try:
      for statement in module.source.tree.body:
        reader.visit(statement)
    except RecursionError:
      pass  # What is nested deeper than Python goes is not a name.
    found += sorted(reader.uses, key=lambda use: (use.line, use.column))
  return found
