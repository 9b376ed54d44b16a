"""What names are bound to in a Python source, without running it.

Only what may lead to a module counts: imports, assignments of attributes of
imported modules, and functions that return such. All else that binds a name
hides what an outer scope has under it.
"""

import ast
import builtins
from typing import Dict, FrozenSet, List, NamedTuple, Optional, Set, Tuple

from mtl_graph.porting import python_files

_DEEPEST = 12  # Aliases of aliases; more is a cycle.
# Functions that return the module that they are given the name of.
_IMPORTERS = {"importlib.import_module": 0, "import_module": 0,
              "__import__": 0, "pytest.importorskip": 0, "LazyLoader": 2}

Names = FrozenSet[str]
NOTHING: Names = frozenset()
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef,
           ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Binding:
  """All that one scope binds one name to.

  Attributes:
    imports: Dotted names that are imported under it.
    values: Expressions that are assigned to it.
    function: The function it is defined as, or None.
    hidden: Whether it is bound to something else.
    names: What it stands for, once that is known.
  """

  def __init__(self):
    self.imports: List[str] = []
    self.values: List[ast.expr] = []
    self.function: Optional[Tuple[ast.AST, "Scope"]] = None
    self.hidden = False
    self.names: Optional[Names] = None


class Scope:
  """A module, function, class or comprehension.

  Attributes:
    parent: The scope around it, or None.
    is_class: Whether it is a class, which functions in it do not see.
    bindings: By name.
    others: Names it declares to be the module's.
  """

  def __init__(self, parent: Optional["Scope"], is_class: bool = False):
    self.parent = parent
    self.is_class = is_class
    self.bindings: Dict[str, Binding] = {}
    self.others: Set[str] = set()

  def bind(self, name: str) -> Binding:
    """Returns the binding of a name, which is made if there is none."""
    scope = self
    if name in self.others:
      while scope.parent is not None:
        scope = scope.parent
    return scope.bindings.setdefault(name, Binding())

  def find(self, name: str) -> Optional[Tuple[Binding, "Scope"]]:
    """Returns the binding that a name has here, and the scope it is of."""
    scope, inside = self, True
    while scope is not None:
      if name in scope.bindings and (inside or not scope.is_class):
        return scope.bindings[name], scope
      inside = inside and _is_comprehension(scope)
      scope = scope.parent
    return None


class _Comprehension(Scope):
  pass


def _is_comprehension(scope):
  return isinstance(scope, _Comprehension)


class Module(NamedTuple):
  """A source and its scopes.

  Attributes:
    source: The source.
    scope: Scope of the module.
    scopes: Scope of each node that opens one.
    wildcards: Modules of which everything is imported, with the statements.
  """
  source: python_files.Source
  scope: Scope
  scopes: Dict[ast.AST, Scope]
  wildcards: List[Tuple[str, ast.ImportFrom]]


def imported_from(node: ast.ImportFrom, source: python_files.Source) -> str:
  """Returns the full name of the module that `from ... import` reads."""
  if not node.level:
    return node.module or ""
  parts = source.module.split(".")
  drop = node.level - (1 if source.is_package else 0)
  parts = parts[:len(parts) - drop] if drop else parts
  return ".".join(parts + ([node.module] if node.module else []))


class _Collector(ast.NodeVisitor):
  """Fills the scopes of one module."""

  def __init__(self, source):
    self.module = Module(source, Scope(None), {}, [])
    self._scope = self.module.scope
    self.module.scopes[source.tree] = self._scope

  def visit_Import(self, node):
    for alias in node.names:
      if alias.asname:
        self._scope.bind(alias.asname).imports.append(alias.name)
      else:
        top = alias.name.split(".")[0]
        self._scope.bind(top).imports.append(top)

  def visit_ImportFrom(self, node):
    module = imported_from(node, self.module.source)
    for alias in node.names:
      if alias.name == "*":
        self.module.wildcards.append((module, node))
      else:
        self._scope.bind(alias.asname or alias.name).imports.append(
            f"{module}.{alias.name}")

  def visit_Global(self, node):
    self._scope.others.update(node.names)

  def visit_Assign(self, node):
    self._assign(node.targets, node.value)

  def visit_AnnAssign(self, node):
    self.visit(node.annotation)
    if node.value is not None:
      self._assign([node.target], node.value)

  def visit_NamedExpr(self, node):
    self._assign([node.target], node.value)

  def _assign(self, targets, value):
    self.visit(value)
    for target in targets:
      if isinstance(target, ast.Name):
        if not _is_none(value):
          self._scope.bind(target.id).values.append(value)
      else:
        self.visit(target)

  def visit_Name(self, node):
    if isinstance(node.ctx, ast.Store):
      self._scope.bind(node.id).hidden = True

  def visit_ExceptHandler(self, node):
    if node.name:
      self._scope.bind(node.name).hidden = True
    self.generic_visit(node)

  def visit_MatchAs(self, node):
    if node.name:
      self._scope.bind(node.name).hidden = True
    self.generic_visit(node)

  def _open(self, node, scope):
    self.module.scopes[node] = scope
    return scope

  def _function(self, node):
    arguments = node.args
    outer = self._scope
    for part in arguments.defaults + arguments.kw_defaults:
      if part is not None:
        self.visit(part)
    scope = self._open(node, Scope(outer))
    every = (arguments.posonlyargs + arguments.args + arguments.kwonlyargs
             + [arguments.vararg, arguments.kwarg])
    for argument in every:
      if argument is not None:
        scope.bind(argument.arg).hidden = True
    self._scope = scope
    for statement in node.body if isinstance(node.body, list) else [node.body]:
      self.visit(statement)
    self._scope = outer

  def visit_FunctionDef(self, node):
    binding = self._scope.bind(node.name)
    for part in node.decorator_list:
      self.visit(part)
    self._function(node)
    if node.decorator_list or binding.function:
      binding.hidden = True
    binding.function = (node, self.module.scopes[node])

  visit_AsyncFunctionDef = visit_FunctionDef

  def visit_Lambda(self, node):
    self._function(node)

  def visit_ClassDef(self, node):
    self._scope.bind(node.name).hidden = True
    for part in node.decorator_list + node.bases + node.keywords:
      self.visit(part)
    outer = self._scope
    self._scope = self._open(node, Scope(outer, is_class=True))
    for statement in node.body:
      self.visit(statement)
    self._scope = outer

  def _comprehension(self, node):
    outer = self._scope
    self._scope = self._open(node, _Comprehension(outer))
    self.generic_visit(node)
    self._scope = outer

  visit_ListComp = visit_SetComp = visit_DictComp = _comprehension
  visit_GeneratorExp = _comprehension


def _written(node):
  """Returns a dotted name as it is written; "" for anything else."""
  parts = []
  while isinstance(node, ast.Attribute):
    parts.append(node.attr)
    node = node.value
  return ".".join([node.id] + parts[::-1]) if isinstance(node, ast.Name) else (
      "." if isinstance(node, ast.Call) and parts else "")


def _is_none(node):
  return isinstance(node, ast.Constant) and node.value is None


def collect(source: python_files.Source) -> Module:
  """Reads what the scopes of a parsed source bind."""
  collector = _Collector(source)
  for statement in source.tree.body:
    collector.visit(statement)
  return collector.module


class Resolver:
  """Follows names through the modules that are scanned to where they end."""

  def __init__(self, modules: List[Module]):
    """Takes the modules that may import each other."""
    self._modules = {}
    for module in modules:
      self._modules.setdefault(module.source.module, module)
    self._known: Dict[str, Names] = {}

  def resolve(self, node: ast.AST, scope: Scope, module: Module,
              depth: int = 0) -> Names:
    """Returns the dotted names that an expression may stand for.

    Args:
      node: The expression.
      scope: The scope that it stands in.
      module: The module that it stands in.
      depth: How many aliases were followed already.

    Returns:
      Names as "tensorflow.nn.relu"; several where a name is bound in several
      branches; empty for what is no name of an imported module.
    """
    if depth > _DEEPEST:
      return NOTHING
    if isinstance(node, ast.Attribute):
      return self._attribute(self.resolve(node.value, scope, module, depth),
                             node.attr)
    if isinstance(node, ast.Name):
      return self._name(node.id, scope, module, depth)
    if isinstance(node, ast.Call):
      return self._call(node, scope, module, depth)
    if isinstance(node, ast.IfExp):
      return (self.resolve(node.body, scope, module, depth)
              | self.resolve(node.orelse, scope, module, depth))
    if isinstance(node, ast.BoolOp):
      return NOTHING.union(*(self.resolve(value, scope, module, depth)
                             for value in node.values))
    return NOTHING

  def _attribute(self, bases, attribute):
    return NOTHING.union(*(self.canonical(f"{base}.{attribute}")
                           for base in bases))

  def _name(self, name, scope, module, depth):
    found = scope.find(name)
    if found is None:
      return self._from_wildcards(name, module)
    binding, home = found
    if binding.names is None:
      binding.names = NOTHING  # Ends cycles.
      binding.names = self._bound(binding, home, module, depth)
    return binding.names

  def _bound(self, binding, home, module, depth):
    names = NOTHING.union(*map(self.canonical, binding.imports))
    if binding.values and not binding.hidden:
      values = []
      for value in binding.values:
        values.append(self.resolve(value, home, module, depth + 1))
        if not values[-1]:  # A variable that once held a function.
          return names
      names = names.union(*values)
    return names

  def _from_wildcards(self, name, module):
    if not module.wildcards or hasattr(builtins, name):
      return NOTHING
    return NOTHING.union(*(self.canonical(f"{home}.{name}")
                           for home, _ in module.wildcards))

  def _call(self, node, scope, module, depth):
    arguments = node.args
    called = _written(node.func)
    if called == "getattr" and len(arguments) in (2, 3):
      if isinstance(arguments[1], ast.Constant) and isinstance(
          arguments[1].value, str):
        return self._attribute(self.resolve(arguments[0], scope, module, depth),
                               arguments[1].value)
      return NOTHING
    place = _IMPORTERS.get(called, _IMPORTERS.get(called.rpartition(".")[2]))
    if place is not None and len(arguments) > place:
      name = arguments[place]
      if isinstance(name, ast.Constant) and isinstance(name.value, str):
        text = name.value
        return self.canonical(text.split(".")[0] if called == "__import__"
                              else text)
      return NOTHING
    if arguments or node.keywords or not called:
      return NOTHING
    return self._returned(node.func, scope, module, depth)

  def _returned(self, function, scope, module, depth):
    """Returns what a function of the sources returns, if modules."""
    if isinstance(function, ast.Name):
      found = scope.find(function.id)
      if found is None:
        return NOTHING
      binding, home = found
      if binding.function is None:
        return NOTHING.union(*(self._returned_by(name, depth)
                               for name in binding.imports))
      return self._body(binding, module, depth)
    if isinstance(function, ast.Attribute):
      bases = self.resolve(function.value, scope, module, depth)
      return NOTHING.union(*(
          self._returned_by(f"{base}.{function.attr}", depth)
          for base in bases))
    return NOTHING

  def _returned_by(self, name, depth):
    home, _, attribute = name.rpartition(".")
    module = self._modules.get(home)
    binding = module and module.scope.bindings.get(attribute)
    if not binding or binding.function is None:
      return NOTHING
    return self._body(binding, module, depth)

  def _body(self, binding, module, depth):
    node, scope = binding.function
    if binding.hidden or isinstance(node, ast.Lambda):
      return NOTHING
    values = [s.value for s in node.body if isinstance(s, ast.Return)
              and s.value is not None]
    names = [self.resolve(value, scope, module, depth + 1) for value in values]
    return NOTHING.union(*names) if names and all(names) else NOTHING

  def canonical(self, name: str) -> Names:
    """Returns what a dotted name stands for, through the scanned modules."""
    if name not in self._known:
      self._known[name] = frozenset([name])  # Ends cycles.
      self._known[name] = self._follow(name)
    return self._known[name]

  def _follow(self, name):
    if name in self._modules:
      return frozenset([name])
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
      module = self._modules.get(".".join(parts[:length]))
      if module is None:
        continue
      names = self._name(parts[length], module.scope, module, 1)
      if not names and parts[length] not in module.scope.bindings:
        names = self._from_wildcards(parts[length], module)
      for part in parts[length + 1:]:
        names = self._attribute(names, part)
      return names or frozenset([name])
    return frozenset([name])
