#pragma once

#include "chat/jinja/ast.hpp"

namespace nibble::jinja {

/// Calls visit(child) for every direct child of `node`, which may be const.
template <class Node, class Visit>
void for_each_child(Node& node, const Visit& visit) {
  using Kind = Expression::Kind;
  auto as = [&]<class T>(T*) -> auto& {
    if constexpr (std::is_const_v<Node>) {
      return static_cast<const T&>(node);
    } else {
      return static_cast<T&>(node);
    }
  };
  auto one = [&](auto& child) {
    if (child) visit(static_cast<Node&>(*child));
  };
  auto many = [&](auto& children) {
    for (auto& child : children) one(child);
  };
  auto all = [&](auto& arguments) {
    many(arguments.positional);
    for (auto& [name, value] : arguments.named) one(value);
    one(arguments.star);
    one(arguments.double_star);
  };
  switch (node.kind) {
    case Kind::constant:
    case Kind::name:
    case Kind::namespace_target: break;
    case Kind::list: many(as(static_cast<ListLiteral*>(nullptr)).items); break;
    case Kind::tuple: many(as(static_cast<TupleLiteral*>(nullptr)).items); break;
    case Kind::concat: many(as(static_cast<Concat*>(nullptr)).items); break;
    case Kind::unary: one(as(static_cast<Unary*>(nullptr)).operand); break;
    case Kind::logical_not: one(as(static_cast<Not*>(nullptr)).operand); break;
    case Kind::attribute: one(as(static_cast<AttributeOf*>(nullptr)).object); break;
    case Kind::dict:
      for (auto& [key, value] : as(static_cast<DictLiteral*>(nullptr)).entries) {
        one(key);
        one(value);
      }
      break;
    case Kind::binary: {
      auto& binary = as(static_cast<Binary*>(nullptr));
      one(binary.left);
      one(binary.right);
      break;
    }
    case Kind::logical_and: {
      auto& both = as(static_cast<And*>(nullptr));
      one(both.left);
      one(both.right);
      break;
    }
    case Kind::logical_or: {
      auto& either = as(static_cast<Or*>(nullptr));
      one(either.left);
      one(either.right);
      break;
    }
    case Kind::compare: {
      auto& compare = as(static_cast<Compare*>(nullptr));
      one(compare.first);
      for (auto& [op, operand] : compare.rest) one(operand);
      break;
    }
    case Kind::conditional: {
      auto& choice = as(static_cast<Conditional*>(nullptr));
      one(choice.test);
      one(choice.yes);
      one(choice.no);
      break;
    }
    case Kind::item: {
      auto& item = as(static_cast<ItemOf*>(nullptr));
      one(item.object);
      one(item.key);
      break;
    }
    case Kind::slice: {
      auto& slice = as(static_cast<SliceOf*>(nullptr));
      one(slice.object);
      one(slice.start);
      one(slice.stop);
      one(slice.step);
      break;
    }
    case Kind::call: {
      auto& call = as(static_cast<Call*>(nullptr));
      one(call.callee);
      all(call.arguments);
      break;
    }
    case Kind::filter: {
      auto& filter = as(static_cast<FilterCall*>(nullptr));
      one(filter.subject);
      all(filter.arguments);
      break;
    }
    case Kind::test: {
      auto& test = as(static_cast<TestCall*>(nullptr));
      one(test.subject);
      all(test.arguments);
      break;
    }
  }
}

}  // namespace nibble::jinja
