// Zip files whose members are stored as they are, which is how PyTorch writes checkpoints (APPNOTE.TXT 6.3.9
// of PKWARE, with the zip64 fields). Compressed, encrypted and split archives are refused.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"

namespace megin::exchange {

struct ZipMember {
  std::string name;
  std::span<const std::byte> bytes;
};

// An open archive, mapped read-only: the members' bytes are valid as long as the object lives. Safe to read
// from any number of threads. Every offset and length is held against the file before it is used.
class ZipArchive {
 public:
  explicit ZipArchive(const std::filesystem::path& path);  // throws Error naming the file and what is wrong

  const std::vector<ZipMember>& members() const { return members_; }  // in the order of the directory
  const ZipMember* find(std::string_view name) const;                 // nullptr: no such member
  const std::filesystem::path& path() const { return file_.path(); }

 private:
  MappedFile file_;
  std::vector<ZipMember> members_;
};

// Whether a file begins as such an archive does.
bool is_zip(std::span<const std::byte> bytes);

}  // namespace megin::exchange
