// SentencePiece from a plugin: programs with libtorch (subword_backend.h says why). RTLD_LOCAL keeps its
// symbols from everybody else, RTLD_DEEPBIND makes it use its own protobuf and not the one that is already
// there.
#include <dlfcn.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "text/subword_backend.h"

namespace megin::text {
namespace {

namespace fs = std::filesystem;

constexpr const char* kName = "megin_subword.so";

// The plugin is in lib/megin beside, or some folders above, the program or library that this code became a
// part of: /usr/local/bin/megin has /usr/local/lib/megin, build/release/src/text/megin_text_test has
// build/release/lib/megin. The bare name, which comes first, is looked for in the run path that the
// installed package gives to programs that link it.
std::vector<fs::path> places() {
  std::vector<fs::path> list = {kName};
  std::error_code ignored;
  fs::path folder = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  Dl_info self{};
  if (folder.empty() && ::dladdr(reinterpret_cast<void*>(&places), &self) != 0) {
    folder = fs::absolute(self.dli_fname, ignored).parent_path();
  }
  for (int level = 0; level < 4 && !folder.empty(); ++level) {
    list.push_back(folder / "lib" / "megin" / kName);
    folder = folder == folder.root_path() ? fs::path() : folder.parent_path();
  }
  return list;
}

const SubwordBackend& open_plugin() {
  std::string looked;
  for (const fs::path& place : places()) {
    if (void* plugin = ::dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND)) {
      const auto table =
          reinterpret_cast<decltype(&megin_subword_backend)>(::dlsym(plugin, "megin_subword_backend"));
      if (table == nullptr)
        fail("{}: this is not megin's subword plugin; install megin again", place.string());
      return *table();
    }
    std::error_code ignored;
    const std::string reason = ::dlerror();
    looked += fmt::format("\n  {}", fs::exists(place, ignored) ? reason : place.string());
  }
  fail("cannot find the subword plugin {}, which stands in lib/megin of the installation; looked for:{}",
       kName, looked);
}

}  // namespace

const SubwordBackend& subword_backend() {
  static const SubwordBackend& backend = open_plugin();
  return backend;
}

}  // namespace megin::text
