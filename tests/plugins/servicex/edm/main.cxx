// Runs the generated query over columns that a test wrote: `query events.txt`, one JSON line for each row of the output tree.
#include <cstdio>
#include <fstream>
#include <iostream>
#include <sstream>

#include "edm.h"

EL::AnaAlgorithm* make_query();

namespace {
void write_real(std::ostream& out, double value) {
  if (std::isnan(value)) { out << "NaN"; return; }
  if (std::isinf(value)) { out << (value < 0 ? "-Infinity" : "Infinity"); return; }
  char text[32];
  std::snprintf(text, sizeof text, "%.17g", value);
  out << text;
}

template <class T> std::vector<T> read(std::istream& in, std::size_t n) {
  std::vector<T> values(n);
  in.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(n * sizeof(T)));
  if (!in) throw std::runtime_error("the file of values is too short");
  return values;
}

// The text names the container, the leaf ("-" for the numbers of objects), the kind of number, and how many of them follow in
// the file of values: first the inner offsets, if any, then the bytes.
std::map<std::string, Columns> columns_of(const std::string& manifest) {
  std::ifstream text(manifest), values(manifest + ".values", std::ios::binary);
  std::map<std::string, Columns> all;
  std::string line;
  while (std::getline(text, line)) {
    std::istringstream words(line);
    std::string container, leaf, dtype;
    std::size_t n_inner = 0, n_bytes = 0;
    words >> container >> leaf >> dtype >> n_inner >> n_bytes;
    Columns& columns = all[container];
    columns.name = container;
    auto inner = read<std::int64_t>(values, n_inner);
    if (leaf == "-") columns.offsets = inner;
    else columns.leaves[leaf] = Leaf{dtype, read<char>(values, n_bytes), inner};
  }
  return all;
}
}  // namespace

void write_value(std::ostream& out, double value) { write_real(out, value); }
void write_value(std::ostream& out, float value) { write_real(out, value); }
void write_value(std::ostream& out, bool value) { out << (value ? "true" : "false"); }
void write_value(std::ostream& out, int value) { out << value; }
void write_value(std::ostream& out, unsigned int value) { out << value; }
void write_value(std::ostream& out, long value) { out << value; }
void write_value(std::ostream& out, unsigned long value) { out << value; }
void write_comma(std::ostream& out) { out << ", "; }
void write_open(std::ostream& out) { out << "["; }
void write_close(std::ostream& out) { out << "]"; }

void TTree::Fill() {
  std::cout << "{";
  for (std::size_t i = 0; i < branches.size(); ++i) {
    std::cout << (i ? ", \"" : "\"") << branches[i].name << "\": ";
    branches[i].write(std::cout);
  }
  std::cout << "}\n";
}

int main(int, char** arguments) {
  try {
    auto all = columns_of(arguments[1]);
    EL::AnaAlgorithm* query = make_query();
    query->store.all = &all;
    if (query->initialize().value) throw std::runtime_error("the query does not begin");
    for (auto& tree : query->trees) {
      std::cout << "{";
      bool first = true;
      for (auto& branch : tree.second.branches) {
        std::cout << (first ? "\"" : ", \"") << branch.name << "\": \"" << branch.type << "\"";
        first = false;
      }
      std::cout << "}\n";
    }
    std::size_t n_events = all.begin()->second.offsets.size() - 1;
    for (std::size_t i = 0; i < n_events; ++i) {
      query->store.next(i);
      if (query->execute().value) throw std::runtime_error("event " + std::to_string(i) + " failed: a container is not there");
    }
    query->store.next(0);
    std::cout.flush();
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 2;
  }
}
