//! Which callers share windows: those of the process, or of one core or NUMA node.

use std::{fmt, sync::Arc};

/// Among which callers identical requests are coalesced.
///
/// The smaller the scope, the less memory the cores share, and the more often the same work runs: once per window and
/// core, or node, in place of once per window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scope {
    /// Among all callers of the coalescer.
    #[default]
    PerProcess,
    /// Among those callers that run on the same core when they first poll their join.
    PerCore,
    /// Among those callers that run on the same NUMA node when they first poll their join.
    PerNuma,
}

impl Scope {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::PerProcess => "process",
            Self::PerCore => "core",
            Self::PerNuma => "numa",
        }
    }
}

/// Which cores there are, which node each belongs to, and on which one the calling thread is.
///
/// [`Builder::scope`](crate::Builder::scope) uses the machine's own topology by default; another one makes scopes
/// testable anywhere, or serves a platform that this crate does not know.
pub trait Topology: Send + Sync + 'static {
    /// The NUMA node of each core, in the order of the cores' numbers; nodes count from 0. Asked once, when building.
    /// Empty, or an error with the reason, where that isn't known.
    ///
    /// # Errors
    ///
    /// The reason why the topology isn't known. The scope then falls back to the process.
    fn nodes(&self) -> Result<Vec<usize>, String>;

    /// The number of the core that the calling thread is running on. Asked at every join's first poll, in the caller.
    /// `None` where that isn't known.
    fn current_core(&self) -> Option<usize>;
}

/// The machine this runs on. Its topology is known on Linux; elsewhere scopes fall back to the process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine;

impl Topology for Machine {
    #[cfg(target_os = "linux")]
    fn nodes(&self) -> Result<Vec<usize>, String> {
        linux::nodes("/sys/devices/system/node".as_ref(), "/sys/devices/system/cpu/possible".as_ref())
    }

    #[cfg(target_os = "linux")]
    fn current_core(&self) -> Option<usize> {
        Some(rustix::thread::sched_getcpu())
    }

    #[cfg(not(target_os = "linux"))]
    fn nodes(&self) -> Result<Vec<usize>, String> {
        Err("this platform's topology is not known".to_owned())
    }

    #[cfg(not(target_os = "linux"))]
    fn current_core(&self) -> Option<usize> {
        None
    }
}

/// A scope's domains on a given topology. Each has its own shards.
pub(crate) struct Domains {
    topology: Arc<dyn Topology>,
    /// The domain of each core.
    of_core: Vec<usize>,
    count: usize,
}

impl Domains {
    /// `None` where there is but one domain: the process.
    pub(crate) fn find(scope: Scope, topology: Arc<dyn Topology>) -> Result<Option<Self>, String> {
        if scope == Scope::PerProcess {
            return Ok(None);
        }
        let nodes = topology.nodes()?;
        if nodes.is_empty() {
            return Err("the topology knows no cores".to_owned());
        }
        if topology.current_core().is_none() {
            return Err("the current core cannot be told".to_owned());
        }
        let of_core = if scope == Scope::PerCore { (0..nodes.len()).collect() } else { numbered(&nodes) };
        let count = of_core.iter().max().map_or(1, |last| last + 1);
        Ok((count > 1).then_some(Self { topology, of_core, count }))
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The domain of the calling thread; the first for a core that came later than the coalescer.
    pub(crate) fn current(&self) -> usize {
        let core = self.topology.current_core();
        core.and_then(|core| self.of_core.get(core).copied()).unwrap_or(0)
    }
}

impl fmt::Debug for Domains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Domains").field("of_core", &self.of_core).finish_non_exhaustive()
    }
}

/// Nodes may be numbered with gaps; domains aren't.
fn numbered(nodes: &[usize]) -> Vec<usize> {
    let mut known: Vec<_> = nodes.to_vec();
    known.sort_unstable();
    known.dedup();
    nodes.iter().map(|node| known.partition_point(|known| known < node)).collect()
}

#[cfg(any(target_os = "linux", test))]
mod linux {
    use std::{fs, path::Path};

    /// Reads the nodes of all cores from where the kernel tells them. A kernel without NUMA has one node of all cores.
    pub(super) fn nodes(nodes: &Path, possible: &Path) -> Result<Vec<usize>, String> {
        let cores = parse(&read(possible)?)?;
        let count = cores.iter().max().map_or(0, |last| last + 1);
        let mut of_core = vec![0; count];
        let Ok(entries) = fs::read_dir(nodes) else { return Ok(of_core) };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let number =
                name.to_str().and_then(|name| name.strip_prefix("node")).and_then(|number| number.parse().ok());
            let Some(node) = number else { continue };
            for core in parse(&read(&entry.path().join("cpulist"))?)? {
                if let Some(of_core) = of_core.get_mut(core) {
                    *of_core = node;
                }
            }
        }
        Ok(of_core)
    }

    fn read(path: &Path) -> Result<String, String> {
        fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// A list of the kernel's, such as `0-3,8,10-11`.
    pub(super) fn parse(list: &str) -> Result<Vec<usize>, String> {
        let number = |text: &str| text.parse::<usize>().map_err(|_| format!("{list:?} is not a list of cores"));
        let mut cores = Vec::new();
        for range in list.trim().split(',').filter(|range| !range.is_empty()) {
            let (from, to) = range.split_once('-').unwrap_or((range, range));
            cores.extend(number(from)?..=number(to)?);
        }
        Ok(cores)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fake {
        nodes: Vec<usize>,
        core: Option<usize>,
    }

    impl Topology for Fake {
        fn nodes(&self) -> Result<Vec<usize>, String> {
            Ok(self.nodes.clone())
        }

        fn current_core(&self) -> Option<usize> {
            self.core
        }
    }

    fn domains(scope: Scope, nodes: &[usize], core: Option<usize>) -> Result<Option<Domains>, String> {
        Domains::find(scope, Arc::new(Fake { nodes: nodes.to_vec(), core }))
    }

    #[test]
    fn each_core_is_a_domain_per_core() {
        let domains = domains(Scope::PerCore, &[0, 0, 1, 1], Some(2)).unwrap().unwrap();
        assert_eq!((domains.count(), domains.current()), (4, 2));
    }

    #[test]
    fn each_node_is_a_domain_per_node_whatever_its_number() {
        let domains = domains(Scope::PerNuma, &[0, 0, 5, 5], Some(3)).unwrap().unwrap();
        assert_eq!((domains.count(), domains.current()), (2, 1));
    }

    #[test]
    fn one_domain_is_the_process() {
        assert!(domains(Scope::PerProcess, &[0, 1], Some(0)).unwrap().is_none());
        assert!(domains(Scope::PerNuma, &[0, 0], Some(0)).unwrap().is_none());
        assert!(domains(Scope::PerCore, &[0], Some(0)).unwrap().is_none());
    }

    #[test]
    fn a_topology_that_cannot_tell_is_an_error() {
        assert!(domains(Scope::PerCore, &[], Some(0)).is_err());
        assert!(domains(Scope::PerCore, &[0, 0], None).is_err());
    }

    #[test]
    fn a_core_beyond_the_known_ones_belongs_to_the_first_domain() {
        assert_eq!(domains(Scope::PerCore, &[0, 0], Some(9)).unwrap().unwrap().current(), 0);
    }

    #[test]
    fn the_kernels_lists_are_read() {
        assert_eq!(linux::parse("0-2,5,7-8\n").unwrap(), [0, 1, 2, 5, 7, 8]);
        assert!(linux::parse("\n").unwrap().is_empty());
        assert!(linux::parse("a-b").is_err());
    }
}
