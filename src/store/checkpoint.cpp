#include "store/checkpoint.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <system_error>

#include "base/error.h"

namespace megin::store {
namespace fs = std::filesystem;
namespace {

using nlohmann::json;

constexpr int kFormat = 1;
constexpr std::string_view kTensorFile = "state.safetensors";
constexpr std::string_view kStateFile = "state.json";
constexpr std::string_view kManifestFile = "manifest.json";
constexpr std::string_view kNamePrefix = "update-";
constexpr std::string_view kTemporaryMark = ".tmp-";  // as write_directory_atomically names them
constexpr std::string_view kReplacedMark = ".old";

fs::path checkpoints_of(const fs::path& run) {
  return run / "checkpoints";
}

std::string json_text(const json& value) {
  return value.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

json parse_json(const fs::path& path) {
  try {
    return json::parse(read_file(path));
  } catch (const json::exception& error) {
    fail("{}: is not JSON: {}", path.string(), error.what());
  }
}

std::string hex(uint64_t value) {
  return fmt::format("{:016x}", value);
}

// The update that a directory's name tells, or nothing.
std::optional<int64_t> update_of(std::string_view name) {
  if (!name.starts_with(kNamePrefix)) return std::nullopt;
  name.remove_prefix(kNamePrefix.size());
  int64_t update = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), update);
  if (error != std::errc() || end != name.data() + name.size() || update < 0) return std::nullopt;
  return update;
}

std::vector<std::string> names_in(const fs::path& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    fail("{}: cannot list this directory: {}", directory.string(), error.message());
  }
  return names;
}

void remove_tree(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) fail("{}: cannot remove this directory: {}", path.string(), error.message());
}

void rename_directory(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (error) fail("{}: cannot rename this directory: {}", from.string(), error.message());
}

// A crash between the two renames of a replacement leaves only the replaced checkpoint, under its temporary
// name: it takes its place again. Everything else that is temporary goes.
void clear_leftovers(const fs::path& run) {
  const fs::path directory = checkpoints_of(run);
  for (const std::string& name : names_in(directory)) {
    const size_t mark = name.find(kTemporaryMark);
    if (mark == std::string::npos || !update_of(name.substr(0, mark))) continue;
    const fs::path target = directory / name.substr(0, mark);
    if (name.ends_with(kReplacedMark) && !fs::exists(target)) {
      rename_directory(directory / name, target);
    } else {
      remove_tree(directory / name);
    }
  }
}

void write_manifest(const fs::path& directory, int64_t update) {
  json files = json::object();
  for (const std::string_view name : {kTensorFile, kStateFile}) {
    const fs::path file = directory / name;
    files[std::string(name)] = {{"bytes", fs::file_size(file)}, {"xxh3", hex(file_checksum(file))}};
  }
  const json manifest = {{"format", kFormat}, {"update", update}, {"files", files}};
  write_file_atomically(directory / kManifestFile, json_text(manifest));
}

void verify_file(const fs::path& file, const json& wanted) {
  std::error_code error;
  const uint64_t bytes = fs::file_size(file, error);
  if (error) fail("{}: {}", file.string(), error.message());
  const auto wanted_bytes = wanted.at("bytes").get<uint64_t>();
  if (bytes != wanted_bytes) {
    fail("{}: wanted {} bytes by the manifest, found {}", file.string(), wanted_bytes, bytes);
  }
  const auto wanted_checksum = wanted.at("xxh3").get<std::string>();
  const std::string found = hex(file_checksum(file));
  if (found != wanted_checksum) {
    fail("{}: wanted checksum {} by the manifest, found {}", file.string(), wanted_checksum, found);
  }
}

// Throws Error naming the file that is not as the manifest says.
void verify(const fs::path& directory, int64_t update) {
  const fs::path manifest_path = directory / kManifestFile;
  const json manifest = parse_json(manifest_path);
  try {
    const auto format = manifest.at("format").get<int64_t>();
    if (format != kFormat) {
      fail("{}: wanted format {}, found {} (written by another version of megin)", manifest_path.string(),
           kFormat, format);
    }
    const auto written = manifest.at("update").get<int64_t>();
    if (written != update) fail("{}: is the manifest of update {}", manifest_path.string(), written);
    for (const std::string_view name : {kTensorFile, kStateFile}) {
      verify_file(directory / name, manifest.at("files").at(std::string(name)));
    }
  } catch (const json::exception& error) {
    fail("{}: is not a manifest: {}", manifest_path.string(), error.what());
  }
}

}  // namespace

fs::path checkpoint_directory(const fs::path& run, int64_t update) {
  return checkpoints_of(run) / fmt::format("{}{}", kNamePrefix, update);
}

void write_checkpoint(const fs::path& run, int64_t update, const CheckpointContent& content) {
  std::error_code error;
  if (fs::create_directories(checkpoints_of(run), error)) sync_path(run);
  if (error) fail("{}: cannot make this directory: {}", checkpoints_of(run).string(), error.message());
  const auto fill = [&](const fs::path& directory) {
    write_safetensors(directory / kTensorFile, content.tensors);
    write_file_atomically(directory / kStateFile, json_text(content.state));
    write_manifest(directory, update);
  };
  write_directory_atomically(checkpoint_directory(run, update), fill, true);
}

Checkpoint open_checkpoint(const fs::path& run, int64_t update) {
  const fs::path directory = checkpoint_directory(run, update);
  verify(directory, update);
  return {.update = update,
          .directory = directory,
          .tensors = SafetensorsFile(directory / kTensorFile),
          .state = parse_json(directory / kStateFile)};
}

std::vector<int64_t> list_checkpoints(const fs::path& run) {
  std::vector<int64_t> updates;
  for (const std::string& name : names_in(checkpoints_of(run))) {
    if (const auto update = update_of(name)) updates.push_back(*update);
  }
  std::ranges::sort(updates);
  return updates;
}

std::vector<Checkpoint> newest_good_checkpoints(const fs::path& run, int64_t count,
                                                const DamageReport& report) {
  std::vector<int64_t> updates = list_checkpoints(run);
  std::vector<Checkpoint> good;
  for (; !updates.empty() && static_cast<int64_t>(good.size()) < count; updates.pop_back()) {
    try {
      good.push_back(open_checkpoint(run, updates.back()));
    } catch (const Error& error) {
      report(updates.back(), error.what());
    }
  }
  return good;
}

std::optional<Checkpoint> newest_good_checkpoint(const fs::path& run, const DamageReport& report) {
  clear_leftovers(run);
  std::vector<Checkpoint> good = newest_good_checkpoints(run, 1, report);
  if (good.empty()) return std::nullopt;
  return std::move(good.front());
}

void prune_checkpoints(const fs::path& run, int64_t keep, std::span<const int64_t> protect) {
  if (keep < 1) fail_usage("wanted to keep at least 1 checkpoint, found {}", keep);
  std::vector<int64_t> updates = list_checkpoints(run);
  updates.resize(updates.size() - std::min(updates.size(), static_cast<size_t>(keep)));
  for (const int64_t update : updates) {
    if (std::ranges::find(protect, update) != protect.end()) continue;
    // Renamed first, so that an interrupted removal leaves a leftover and not a damaged checkpoint.
    const fs::path directory = checkpoint_directory(run, update);
    fs::path removed = directory;
    removed += fmt::format("{}{}", kTemporaryMark, ::getpid());
    rename_directory(directory, removed);
    remove_tree(removed);
  }
}

}  // namespace megin::store
