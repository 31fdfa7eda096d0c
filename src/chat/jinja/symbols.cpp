#include "chat/jinja/symbols.hpp"

namespace nibble::jinja {

uint32_t FunctionScope::slot(int level, const std::string& name) {
  auto [found, inserted] = by_name.try_emplace({level, name}, slots);
  if (inserted) ++slots;
  return found->second;
}

const Symbols::Reference* Symbols::find_here(const std::string& name) const {
  for (const Symbols* part = this; part; part = part->base_)
    if (auto found = part->references_.find(name); found != part->references_.end()) return &found->second;
  return nullptr;
}

const Symbols::Reference* Symbols::find(const std::string& name) const {
  for (const Symbols* frame = this; frame; frame = frame->parent_)
    if (const Reference* found = frame->find_here(name)) return found;
  return nullptr;
}

bool Symbols::stored_here(const std::string& name) const {
  for (const Symbols* part = this; part; part = part->base_)
    if (part->stores_.count(name)) return true;
  return false;
}

Symbols Symbols::branch() const {
  Symbols result(parent_, *function_);
  result.base_ = this;
  return result;
}

uint32_t Symbols::define(const std::string& name, Load load) {
  const uint32_t slot = function_->slot(level_, name);
  references_[name] = {function_, slot};
  loads_[slot] = std::move(load);
  return slot;
}

void Symbols::load(const std::string& name) {
  if (!find(name)) define(name, {FrameLoad::Kind::from_context, name});
}

void Symbols::store(const std::string& name) {
  stores_.insert(name);
  if (find_here(name)) return;
  const Reference* outer = parent_ ? parent_->find(name) : nullptr;
  if (outer) {
    define(name, {FrameLoad::Kind::alias, name, *outer});
  } else {
    define(name, {FrameLoad::Kind::nothing, name});
  }
}

uint32_t Symbols::declare_parameter(const std::string& name) {
  stores_.insert(name);
  return define(name, {FrameLoad::Kind::parameter, name});
}

void Symbols::merge(const std::vector<Symbols>& branches) {
  std::map<std::string, size_t> counts;
  for (const Symbols& branch : branches)
    for (const std::string& name : branch.stores_)
      if (!stored_here(name)) ++counts[name];
  for (const Symbols& branch : branches) {
    for (const auto& [name, reference] : branch.references_) references_[name] = reference;
    for (const auto& [slot, load] : branch.loads_) loads_[slot] = load;
    stores_.insert(branch.stores_.begin(), branch.stores_.end());
  }
  for (const auto& [name, count] : counts) {
    if (count == branches.size()) continue;
    // Not every branch assigns it: before the `if` the name means what it means outside.
    const Reference* outer = parent_ ? parent_->find(name) : nullptr;
    loads_[find_here(name)->slot] = outer ? Load{FrameLoad::Kind::alias, name, *outer} : Load{FrameLoad::Kind::from_context, name};
  }
}

Slot Symbols::slot_of(const std::string& name) const {
  const Reference* reference = find(name);
  if (!reference) refuse(Fault::template_assertion_error, "the name '{}' is not known to its frame", name);
  return seen_from_here(*reference);
}

Frame Symbols::frame() const {
  Frame frame;
  for (const auto& [slot, load] : loads_) {
    FrameLoad entry{load.kind, slot, load.name, {}};
    if (load.kind == FrameLoad::Kind::alias) entry.source = seen_from_here(load.source);
    frame.push_back(std::move(entry));
  }
  return frame;
}

std::vector<std::pair<std::string, Slot>> Symbols::visible_stores() const {
  std::map<std::string, Slot> result;
  for (const Symbols* frame = this; frame; frame = frame->parent_)
    for (const std::string& name : frame->stores_) result.try_emplace(name, slot_of(name));
  return {result.begin(), result.end()};
}

}  // namespace nibble::jinja
