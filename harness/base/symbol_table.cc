#include "harness/base/symbol_table.h"

#include <elf.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

namespace rig {

namespace {

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Close>;

// More than this is no symbol table.
constexpr std::uint64_t section_bytes_max = std::uint64_t{1} << 28;

template <class Record>
std::vector<Record> records(std::FILE* file, std::uint64_t offset, std::uint64_t bytes) {
  std::vector<Record> all;
  if (bytes > section_bytes_max || std::fseek(file, static_cast<long>(offset), SEEK_SET) != 0) {
    return all;
  }
  all.resize(bytes / sizeof(Record));
  all.resize(std::fread(all.data(), sizeof(Record), all.size(), file));
  return all;
}

std::string function_of(std::FILE* file, const Elf64_Shdr& table, const Elf64_Shdr& names, std::uint64_t address) {
  for (const Elf64_Sym& symbol : records<Elf64_Sym>(file, table.sh_offset, table.sh_size)) {
    if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || address < symbol.st_value ||
        address >= symbol.st_value + symbol.st_size || symbol.st_name >= names.sh_size) {
      continue;
    }
    std::vector<char> name = records<char>(file, names.sh_offset + symbol.st_name, names.sh_size - symbol.st_name);
    name.push_back('\0');
    return name.data();
  }
  return {};
}

}  // namespace

std::string function_in_file(const char* path, std::uint64_t address) {
  const File file(std::fopen(path, "re"));
  if (file == nullptr) {
    return {};
  }
  const auto header = records<Elf64_Ehdr>(file.get(), 0, sizeof(Elf64_Ehdr));
  if (header.empty() || std::memcmp(header[0].e_ident, ELFMAG, SELFMAG) != 0 ||
      header[0].e_ident[EI_CLASS] != ELFCLASS64) {
    return {};
  }
  const auto sections =
      records<Elf64_Shdr>(file.get(), header[0].e_shoff, std::uint64_t{header[0].e_shnum} * sizeof(Elf64_Shdr));
  for (const Elf64_Shdr& section : sections) {
    if (section.sh_type == SHT_SYMTAB && section.sh_link < sections.size()) {
      return function_of(file.get(), section, sections[section.sh_link], address);
    }
  }
  return {};
}

}  // namespace rig
