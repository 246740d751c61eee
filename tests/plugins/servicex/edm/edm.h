// The part of the ATLAS event data model that generated queries use, on values that a test has read from a file.
//
// Every header that generated code names stands for this one. Objects are views of columns, one per leaf; a method gives what the
// method of that name gives in the real data model, and a query that asks for a leaf that is not there fails.
#ifndef HEP_FLOWS_TESTS_EDM_H
#define HEP_FLOWS_TESTS_EDM_H

#include <cmath>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <map>
#include <numeric>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <typeindex>
#include <typeinfo>
#include <utility>
#include <vector>

// ------------------------------------------------------------------------------------------------------------------ columns
// The values of one leaf for all objects of one container in all events. Leaves that are lists have inner offsets.
struct Leaf {
  std::string dtype;
  std::vector<char> values;
  std::vector<std::int64_t> inner;
};

struct Columns {
  std::string name;
  std::vector<std::int64_t> offsets;  // of the objects of each event
  std::map<std::string, Leaf> leaves;
  const Leaf& leaf(const std::string& wanted) const {
    auto found = leaves.find(wanted);
    if (found == leaves.end()) throw std::runtime_error(name + " has no leaf " + wanted);
    return found->second;
  }
};

template <class T> struct DtypeOf;
template <> struct DtypeOf<float> { static constexpr const char* name = "float32"; };
template <> struct DtypeOf<double> { static constexpr const char* name = "float64"; };
template <> struct DtypeOf<char> { static constexpr const char* name = "int8"; };
template <> struct DtypeOf<std::uint8_t> { static constexpr const char* name = "uint8"; };
template <> struct DtypeOf<std::int16_t> { static constexpr const char* name = "int16"; };
template <> struct DtypeOf<std::uint16_t> { static constexpr const char* name = "uint16"; };
template <> struct DtypeOf<std::int32_t> { static constexpr const char* name = "int32"; };
template <> struct DtypeOf<std::uint32_t> { static constexpr const char* name = "uint32"; };
template <> struct DtypeOf<std::int64_t> { static constexpr const char* name = "int64"; };
template <> struct DtypeOf<std::uint64_t> { static constexpr const char* name = "uint64"; };

template <class T> struct Item {
  static T at(const Columns& columns, const std::string& name, std::size_t i) {
    return range(columns.leaf(name), columns.name + "." + name, i, i + 1).front();
  }
  // As in the real store, a leaf is there in the type that it was written with, and in no other.
  static std::vector<T> range(const Leaf& leaf, const std::string& name, std::size_t from, std::size_t to) {
    if (leaf.dtype != DtypeOf<T>::name) throw std::runtime_error(name + " is " + leaf.dtype + ", not " + DtypeOf<T>::name);
    const T* first = reinterpret_cast<const T*>(leaf.values.data());
    return std::vector<T>(first + from, first + to);
  }
};

template <class T> struct Item<std::vector<T>> {
  static std::vector<T> at(const Columns& columns, const std::string& name, std::size_t i) {
    const Leaf& leaf = columns.leaf(name);
    if (leaf.inner.empty()) throw std::runtime_error(columns.name + "." + name + " is no list");
    return Item<T>::range(leaf, columns.name + "." + name, leaf.inner.at(i), leaf.inner.at(i + 1));
  }
};

struct StatusCode {
  static const int SUCCESS = 0, FAILURE = 1;
  int value;
  StatusCode(int v = SUCCESS) : value(v) {}
};
#define ANA_CHECK(call) do { StatusCode code_ = (call); if (code_.value) return StatusCode::FAILURE; } while (0)
struct ISvcLocator {};

struct TVector2 {
  static double Phi_mpi_pi(double x) {
    while (x >= M_PI) x -= 2 * M_PI;
    while (x < -M_PI) x += 2 * M_PI;
    return x;
  }
};

template <class T> struct DataVector : std::vector<const T*> {};

// ------------------------------------------------------------------------------------------------------------------ objects
namespace SG {
struct AuxElement {
  const Columns* columns = nullptr;
  std::size_t place = 0, number = 0;
  std::size_t index() const { return number; }
  template <class T> T auxdataConst(const std::string& leaf) const { return Item<T>::at(*columns, leaf, place); }
  template <class T> T auxdata(const std::string& leaf) const { return auxdataConst<T>(leaf); }
};
}  // namespace SG

#define HEP_FLOWS_LEAF(result, name, stored) \
  result name() const { return auxdataConst<stored>(#name); }

namespace xAOD {
struct Spherical : SG::AuxElement {
  HEP_FLOWS_LEAF(double, pt, float)
  HEP_FLOWS_LEAF(double, eta, float)
  HEP_FLOWS_LEAF(double, phi, float)
};

struct Jet_v1 : Spherical {
  HEP_FLOWS_LEAF(double, m, float)
  template <class T> T getAttribute(const std::string& leaf) const { return auxdataConst<T>(leaf); }
};

struct Electron_v1 : Spherical {
  HEP_FLOWS_LEAF(double, m, float)
  HEP_FLOWS_LEAF(float, charge, float)
  HEP_FLOWS_LEAF(std::uint16_t, author, std::uint16_t)
};

struct Photon_v1 : Spherical {
  HEP_FLOWS_LEAF(double, m, float)
  HEP_FLOWS_LEAF(std::uint16_t, author, std::uint16_t)
};

struct Muon_v1 : Spherical {
  double m() const { return 105.65837; }
  HEP_FLOWS_LEAF(float, charge, float)
};

struct TauJet_v3 : Spherical {
  HEP_FLOWS_LEAF(double, m, float)
  HEP_FLOWS_LEAF(float, charge, float)
};

struct TruthParticle_v1 : SG::AuxElement {
  HEP_FLOWS_LEAF(float, px, float)
  HEP_FLOWS_LEAF(float, py, float)
  HEP_FLOWS_LEAF(float, pz, float)
  HEP_FLOWS_LEAF(double, e, float)
  HEP_FLOWS_LEAF(double, m, float)
  HEP_FLOWS_LEAF(int, pdgId, std::int32_t)
  HEP_FLOWS_LEAF(int, status, std::int32_t)
  HEP_FLOWS_LEAF(int, barcode, std::int32_t)
  double pt() const { return std::sqrt(double(px()) * px() + double(py()) * py()); }
  double phi() const { return std::atan2(py(), px()); }
  double eta() const { return std::asinh(pz() / pt()); }
};

struct TruthEvent_v1 : SG::AuxElement {
  HEP_FLOWS_LEAF(float, crossSection, float)
};

struct TrackParticle_v1 : SG::AuxElement {
  HEP_FLOWS_LEAF(float, d0, float)
  HEP_FLOWS_LEAF(float, z0, float)
  HEP_FLOWS_LEAF(float, phi0, float)
  HEP_FLOWS_LEAF(float, theta, float)
  HEP_FLOWS_LEAF(float, qOverP, float)
};

struct Vertex_v1 : SG::AuxElement {
  HEP_FLOWS_LEAF(float, x, float)
  HEP_FLOWS_LEAF(float, y, float)
  HEP_FLOWS_LEAF(float, z, float)
};

struct MissingET_v1 : SG::AuxElement {
  HEP_FLOWS_LEAF(float, mpx, float)
  HEP_FLOWS_LEAF(float, mpy, float)
  HEP_FLOWS_LEAF(float, sumet, float)
  HEP_FLOWS_LEAF(std::uint64_t, source, std::uint64_t)
  float met() const { return std::hypot(mpx(), mpy()); }
  float phi() const { return std::atan2(mpy(), mpx()); }
};

struct EventInfo_v1 : SG::AuxElement {
  HEP_FLOWS_LEAF(std::uint32_t, runNumber, std::uint32_t)
  HEP_FLOWS_LEAF(unsigned long long, eventNumber, std::uint64_t)
  HEP_FLOWS_LEAF(std::uint32_t, lumiBlock, std::uint32_t)
  HEP_FLOWS_LEAF(std::uint32_t, bcid, std::uint32_t)
  HEP_FLOWS_LEAF(std::uint32_t, mcChannelNumber, std::uint32_t)
  HEP_FLOWS_LEAF(float, averageInteractionsPerCrossing, float)
  HEP_FLOWS_LEAF(float, actualInteractionsPerCrossing, float)
};

using Jet = Jet_v1;
using Electron = Electron_v1;
using Photon = Photon_v1;
using Muon = Muon_v1;
using TauJet = TauJet_v3;
using TruthParticle = TruthParticle_v1;
using TruthEvent = TruthEvent_v1;
using TrackParticle = TrackParticle_v1;
using Vertex = Vertex_v1;
using MissingET = MissingET_v1;
using EventInfo = EventInfo_v1;
using JetContainer = DataVector<Jet_v1>;
using ElectronContainer = DataVector<Electron_v1>;
using PhotonContainer = DataVector<Photon_v1>;
using MuonContainer = DataVector<Muon_v1>;
using TauJetContainer = DataVector<TauJet_v3>;
using TruthParticleContainer = DataVector<TruthParticle_v1>;
using TruthEventContainer = DataVector<TruthEvent_v1>;
using TrackParticleContainer = DataVector<TrackParticle_v1>;
using VertexContainer = DataVector<Vertex_v1>;
struct MissingETContainer_v1 : DataVector<MissingET_v1> {};
using MissingETContainer = MissingETContainer_v1;

struct TFileAccessTracer {
  static void enableDataSubmission(bool) {}
};
}  // namespace xAOD

// ---------------------------------------------------------------------------------------------------------- store and output
// Which class the objects of a container have, by what the container is read as.
template <class C> struct Content { using type = typename std::remove_const<typename std::remove_pointer<typename C::value_type>::type>::type; };

struct Store {
  const std::map<std::string, Columns>* all = nullptr;
  std::size_t event = 0;
  std::vector<std::function<void()>> made;  // how to delete what was handed out for this event
  std::map<std::pair<std::string, std::type_index>, void*> known;  // a container is the same whenever it is asked for

  void next(std::size_t number) {
    for (auto& forget : made) forget();
    made.clear();
    known.clear();
    event = number;
  }

  template <class C> StatusCode retrieve(C*& result, const std::string& name) {
    auto found = all->find(name);
    if (found == all->end()) return StatusCode::FAILURE;
    using Plain = typename std::remove_const<C>::type;
    void*& place = known[{name, std::type_index(typeid(Plain))}];
    if (place == nullptr) place = view(static_cast<Plain*>(nullptr), found->second);
    result = static_cast<Plain*>(place);
    return StatusCode::SUCCESS;
  }

  xAOD::EventInfo_v1* view(xAOD::EventInfo_v1*, const Columns& columns) {
    auto* info = new xAOD::EventInfo_v1;
    info->columns = &columns;
    info->place = event;
    made.push_back([info] { delete info; });
    return info;
  }

  template <class C> C* view(C*, const Columns& columns) {
    using Object = typename Content<C>::type;
    auto* objects = new std::vector<Object>(columns.offsets.at(event + 1) - columns.offsets.at(event));
    auto* container = new C;
    for (std::size_t i = 0; i < objects->size(); ++i) {
      Object& one = (*objects)[i];
      one.columns = &columns;
      one.place = columns.offsets[event] + i;
      one.number = i;
      container->push_back(&one);
    }
    made.push_back([objects, container] { delete container; delete objects; });
    return container;
  }
};

void write_value(std::ostream& out, double value);
void write_value(std::ostream& out, float value);
void write_value(std::ostream& out, bool value);
void write_value(std::ostream& out, int value);
void write_value(std::ostream& out, unsigned int value);
void write_value(std::ostream& out, long value);
void write_value(std::ostream& out, unsigned long value);
void write_comma(std::ostream& out);
void write_open(std::ostream& out);
void write_close(std::ostream& out);

template <class T> struct Named { static std::string name() { return "list"; } };
template <> struct Named<double> { static std::string name() { return "float64"; } };
template <> struct Named<float> { static std::string name() { return "float32"; } };
template <> struct Named<bool> { static std::string name() { return "bool"; } };
template <> struct Named<int> { static std::string name() { return "int32"; } };
template <> struct Named<unsigned int> { static std::string name() { return "uint32"; } };
template <> struct Named<long> { static std::string name() { return "int64"; } };
template <> struct Named<unsigned long> { static std::string name() { return "uint64"; } };
template <class T> struct Named<std::vector<T>> { static std::string name() { return "var * " + Named<T>::name(); } };

template <class T> void write_value(std::ostream& out, const std::vector<T>& values) {
  write_open(out);
  bool first = true;
  for (auto&& value : values) {
    if (!first) write_comma(out);
    first = false;
    write_value(out, static_cast<T>(value));
  }
  write_close(out);
}

struct Branch_ {
  std::string name, type;
  std::function<void(std::ostream&)> write;
};

struct TTree {
  std::string name;
  std::vector<Branch_> branches;
  std::ostream* out = nullptr;
  TTree(const char* n, const char*) : name(n) {}
  template <class T> void Branch(const char* n, T* value) {
    branches.push_back({n, Named<T>::name(), [value](std::ostream& o) { write_value(o, *value); }});
  }
  void Fill();
};

namespace EL {
class AnaAlgorithm {
 public:
  AnaAlgorithm(const std::string&, ISvcLocator*) {}
  virtual ~AnaAlgorithm() {}
  virtual StatusCode initialize() = 0;
  virtual StatusCode execute() = 0;
  virtual StatusCode finalize() = 0;
  Store store;
  std::map<std::string, TTree> trees;

 protected:
  Store* evtStore() { return &store; }
  StatusCode book(const TTree& tree) {
    trees.emplace(tree.name, tree);
    return StatusCode::SUCCESS;
  }
  TTree* tree(const std::string& name) { return &trees.at(name); }
};
}  // namespace EL

#endif
