#include "checkpoint/adapter/adapted_weights.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>

#include "base/fail.hpp"
#include "checkpoint/adapter/adapted_matrix.hpp"
#include "checkpoint/adapter/adapter_config.hpp"
#include "checkpoint/prequantized/prequantized_weights.hpp"
#include "checkpoint/shown.hpp"

namespace nibble {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "base_model.model.";

std::unique_ptr<WeightSource> open_adapter(const fs::path& directory) {
  std::error_code ignored;
  if (auto path = directory / "adapter_model.safetensors"; fs::exists(path, ignored)) return open_safetensors(path);
  if (auto path = directory / "adapter_model.bin"; fs::exists(path, ignored)) return open_pytorch(path);
  fail(ErrorKind::not_found, "{}: neither adapter_model.safetensors nor adapter_model.bin is here", directory.string());
}

/// The tensors of an adapted module.
struct Factors {
  std::string a, b, magnitude;  ///< names in the adapter
  bool is_embedding = false;
};

/// What a tensor of an adapter is to its module.
enum class Role { a, b, embedding_a, embedding_b, magnitude, replacement };

struct RoleName {
  std::string_view suffix;
  Role role;
};
constexpr std::array kRoles{RoleName{".lora_A.weight", Role::a},
                            RoleName{".lora_B.weight", Role::b},
                            RoleName{".lora_A.default.weight", Role::a},
                            RoleName{".lora_B.default.weight", Role::b},
                            RoleName{".lora_embedding_A", Role::embedding_a},
                            RoleName{".lora_embedding_B", Role::embedding_b},
                            RoleName{".lora_embedding_A.default", Role::embedding_a},
                            RoleName{".lora_embedding_B.default", Role::embedding_b},
                            RoleName{".lora_magnitude_vector", Role::magnitude},
                            RoleName{".lora_magnitude_vector.weight", Role::magnitude},
                            RoleName{".lora_magnitude_vector.default.weight", Role::magnitude}};

/// Thread-safe, immutable.
class AdaptedWeights final : public WeightSource {
 public:
  AdaptedWeights(std::shared_ptr<const WeightSource> model, const fs::path& directory)
      : model_(std::move(model)), adapter_(open_adapter(directory)) {
    AdapterConfig config(directory);
    std::map<std::string, Factors> modules;
    for (const std::string& name : adapter_->names()) sort_in(name, modules);
    for (const auto& [module, factors] : modules) adapt(module, factors, config);
    if (adapted_.empty() && replaced_.empty()) fail(ErrorKind::corrupt, "{}: the adapter holds no weights", directory.string());
  }

  std::vector<std::string> names() const override { return model_->names(); }
  bool contains(std::string_view name) const override { return model_->contains(name); }
  WeightInfo info(std::string_view name) const override {
    if (auto found = adapted_.find(name); found != adapted_.end())
      return {found->second->float_type(), found->second->shape(), model_->info(name).file};
    if (auto found = replaced_.find(name); found != replaced_.end()) return adapter_->info(found->second);
    return model_->info(name);
  }
  Tensor get(std::string_view name) const override {
    if (auto found = adapted_.find(name); found != adapted_.end()) return decode(*found->second);
    if (auto found = replaced_.find(name); found != replaced_.end()) return adapter_->get(found->second);
    return model_->get(name);
  }
  std::shared_ptr<const EncodedMatrix> encoded(std::string_view name) const override {
    if (auto found = adapted_.find(name); found != adapted_.end()) return found->second;
    return replaced_.contains(name) ? nullptr : model_->encoded(name);
  }
  void release(std::string_view name, PageCache cache) const override { model_->release(name, cache); }
  const std::map<std::string, std::string>& metadata() const override { return model_->metadata(); }

 private:
  /// Tensors of modules are collected, those that replace others noted.
  void sort_in(const std::string& name, std::map<std::string, Factors>& modules) {
    if (!name.starts_with(kPrefix))
      fail(ErrorKind::unsupported, "{}: tensor {} is no part of a PEFT adapter: its name does not begin with {}", file_of(name),
           shown(name), kPrefix);
    std::string rest = name.substr(kPrefix.size());
    for (const RoleName& known : kRoles)
      if (rest.ends_with(known.suffix)) {
        set(modules[rest.substr(0, rest.size() - known.suffix.size())], known.role, name);
        return;
      }
    for (std::string_view wrapper : {".base_layer", ".modules_to_save", ".modules_to_save.default", ".original_module"})
      if (size_t at = rest.rfind(std::string(wrapper) + "."); at != std::string::npos && rest.find("lora_") == std::string::npos)
        rest.erase(at, wrapper.size());
    replace(rest, name);
  }

  static void set(Factors& factors, Role role, const std::string& name) {
    factors.is_embedding |= role == Role::embedding_a || role == Role::embedding_b;
    (role == Role::magnitude ? factors.magnitude : role == Role::a || role == Role::embedding_a ? factors.a : factors.b) = name;
  }

  std::string file_of(const std::string& name) const { return adapter_->info(name).file.string(); }

  /// The model's name for a tensor; checkpoints of the bare model lack the first part of its names, or have one that others lack.
  std::optional<std::string> own_name(const std::string& name) const {
    std::vector<std::string> candidates{name};
    if (size_t dot = name.find('.'); dot != std::string::npos) candidates.push_back(name.substr(dot + 1));
    for (const char* root : {"model.", "transformer.", "language_model."}) candidates.push_back(root + name);
    for (const std::string& candidate : candidates)
      if (model_->contains(candidate)) return candidate;
    return std::nullopt;
  }

  std::string require_own_name(const std::string& name, const std::string& tensor) const {
    if (auto own = own_name(name)) return *own;
    std::string hint = name.starts_with("lm_head.") ? " (perhaps it shares the embeddings' weights, which cannot be adapted apart)" : "";
    fail(ErrorKind::not_found, "{}: tensor {} adapts {}, which the model does not have{}: the adapter is of another model", file_of(tensor),
         shown(tensor), shown(name), hint);
  }

  void replace(const std::string& name, const std::string& tensor) {
    std::string own = require_own_name(name, tensor);
    WeightInfo info = adapter_->info(tensor);
    require(tensor, is_float(info.type) && info.shape == model_->info(own).shape, model_->info(own).shape);
    replaced_.insert_or_assign(own, tensor);
  }

  void require(const std::string& tensor, bool fits, const Shape& wanted) const {
    if (fits) return;
    WeightInfo info = adapter_->info(tensor);
    fail(ErrorKind::corrupt, "{}: tensor {} holds {} {}, floats of shape {} are needed", info.file.string(), shown(tensor),
         to_string(info.type), to_string(info.shape), to_string(wanted));
  }

  Tensor matrix(const std::string& name) const {
    WeightInfo info = adapter_->info(name);
    if (!is_float(info.type) || bit_width(info.type) < 16 || info.shape.size() != 2 || element_count(info.shape) == 0)
      fail(ErrorKind::corrupt, "{}: tensor {} holds {} {}, a matrix of floats is needed", info.file.string(), shown(name),
           to_string(info.type), to_string(info.shape));
    return adapter_->get(name);
  }

  void adapt(const std::string& module, const Factors& factors, const AdapterConfig& config) {
    const std::string& any = factors.a.empty() ? factors.b.empty() ? factors.magnitude : factors.b : factors.a;
    if (factors.a.empty() || factors.b.empty())
      fail(ErrorKind::corrupt, "{}: of module {} only {} is there; both factors are needed", file_of(any), shown(module), shown(any));
    std::string own = require_own_name(module + ".weight", any);
    AdaptedParts parts;
    parts.a = {matrix(factors.a), false};
    parts.b = {matrix(factors.b), false};
    if (factors.is_embedding) {  // the rows are tokens: the factors change places
      std::swap(parts.a, parts.b);
      parts.a.is_transposed = parts.b.is_transposed = true;
    }
    set_weight(parts, own, factors, config.is_fan_in_fan_out());
    if (parts.a.rows() != config.rank(module) || parts.b.columns() != config.rank(module))
      fail(ErrorKind::corrupt, "{}: the factors of module {} have rank {} and {}, {} says {}", file_of(any), shown(module), parts.a.rows(),
           parts.b.columns(), config.where(), config.rank(module));
    parts.scale = config.scale(module);
    set_magnitude(parts, module, factors, config);
    adapted_.insert_or_assign(own, make_adapted_matrix(std::move(parts)));
  }

  void set_weight(AdaptedParts& parts, const std::string& own, const Factors& factors, bool is_fan_in_fan_out) const {
    Shape shape = info(own).shape;
    if (shape.size() != 2)
      fail(ErrorKind::unsupported, "{}: adapts {} of shape {}; only matrices can be", file_of(factors.a), shown(own), to_string(shape));
    parts.encoded = encoded(own);
    int64_t rows = parts.b.rows(), columns = parts.a.columns();
    bool fits = shape == Shape{rows, columns}, fits_transposed = shape == Shape{columns, rows} && !parts.encoded;
    bool is_transposed = fits_transposed && (is_fan_in_fan_out || !fits);
    if (!is_transposed && !fits)
      fail(ErrorKind::corrupt, "{}: the factors of {} make a matrix {}, the weight is {}", file_of(factors.a), shown(own),
           to_string(Shape{rows, columns}), to_string(shape));
    if (parts.encoded) return;
    if (!is_float(info(own).type) || bit_width(info(own).type) < 16)
      fail(ErrorKind::unsupported, "{}: adapts {}, which holds {}", file_of(factors.a), shown(own), to_string(info(own).type));
    parts.weight = {get(own), is_transposed};
  }

  void set_magnitude(AdaptedParts& parts, const std::string& module, const Factors& factors, const AdapterConfig& config) const {
    if (config.is_dora() == factors.magnitude.empty())
      fail(ErrorKind::corrupt, "{}: module {} {} magnitudes, and {} says \"use_dora\": {}", file_of(factors.a), shown(module),
           factors.magnitude.empty() ? "lacks" : "has", config.where(), config.is_dora());
    if (factors.magnitude.empty()) return;
    if (factors.is_embedding)
      fail(ErrorKind::unsupported, "{}: DoRA of embeddings ({}) is not supported; merge the adapter with PEFT", file_of(factors.a),
           shown(module));
    WeightInfo info = adapter_->info(factors.magnitude);
    int64_t rows = parts.b.rows();
    require(factors.magnitude, is_float(info.type) && bit_width(info.type) >= 16 && element_count(info.shape) == static_cast<size_t>(rows),
            {rows});
    parts.magnitude = adapter_->get(factors.magnitude);
  }

  std::shared_ptr<const WeightSource> model_;
  std::unique_ptr<WeightSource> adapter_;
  std::map<std::string, std::shared_ptr<const EncodedMatrix>, std::less<>> adapted_;
  std::map<std::string, std::string, std::less<>> replaced_;  // names in the model: names in the adapter
};

}  // namespace

std::shared_ptr<const WeightSource> merge_adapter(std::shared_ptr<const WeightSource> model, const fs::path& directory) {
  return std::make_shared<AdaptedWeights>(std::move(model), directory);
}

}  // namespace nibble
