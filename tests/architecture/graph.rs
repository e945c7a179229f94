//! Which module means which, and circles among them.

use std::collections::{BTreeMap, BTreeSet};

use crate::scan::{File, Kind, Mention};

/// How often a re-export may lead to another one.
const HOPS: usize = 8;

/// The modules that there are, and the names that they pass on from others.
pub struct Modules {
    known: BTreeSet<Vec<String>>,
    /// Module and name → where the name comes from.
    passed_on: BTreeMap<(Vec<String>, String), Vec<String>>,
}

impl Modules {
    pub fn of(files: &[File]) -> Self {
        let with_parents = |file: &File| (0..=file.module.len()).map(|n| file.module[..n].to_vec()).collect::<Vec<_>>();
        let known = files.iter().flat_map(with_parents).collect();
        let mut modules = Self { known, passed_on: BTreeMap::new() };
        for mention in files.iter().flat_map(|file| &file.mentions).filter(|mention| mention.kind == Kind::PublicUse) {
            let target = modules.absolute(mention).or_else(|| modules.child(mention));
            if let (Some(target), Some(name)) = (target, mention.segments.last()) {
                modules.passed_on.insert((mention.module.clone(), name.clone()), target);
            }
        }
        modules
    }

    /// The path from the crate's root that a mention means, if it stays in the crate.
    fn absolute(&self, mention: &Mention) -> Option<Vec<String>> {
        let mut base = mention.module.clone();
        let mut rest = mention.segments.as_slice();
        match rest.first()?.as_str() {
            "crate" | "dbops" => base.clear(),
            "self" | "super" => {}
            _ => return None,
        }
        while let Some((first, further)) = rest.split_first() {
            match first.as_str() {
                "crate" | "dbops" | "self" => {}
                "super" => drop(base.pop()),
                _ => break,
            }
            rest = further;
        }
        base.extend_from_slice(rest);
        Some(base)
    }

    /// `child::Name` without `self::`.
    fn child(&self, mention: &Mention) -> Option<Vec<String>> {
        let path = [mention.module.as_slice(), mention.segments.as_slice()].concat();
        self.known.contains(&path[..=mention.module.len()]).then_some(path)
    }

    /// The module that holds what a mention means, re-exports followed; and the path from the crate's root.
    pub fn meant(&self, mention: &Mention) -> Option<(Vec<String>, Vec<String>)> {
        let mut path = self.absolute(mention)?;
        for _ in 0..HOPS {
            let module = self.module_of(&path);
            let Some(name) = path.get(module.len()) else { return Some((module, path)) };
            match self.passed_on.get(&(module.clone(), name.clone())) {
                Some(target) if *target != path => path.clone_from(target),
                Some(_) | None => return Some((module, path)),
            }
        }
        Some((self.module_of(&path), path))
    }

    fn module_of(&self, path: &[String]) -> Vec<String> {
        let longest = (0..=path.len()).rev().find(|&length| self.known.contains(&path[..length]));
        path[..longest.unwrap_or(0)].to_vec()
    }

    /// Circles among the modules of one parent. Between a module and what it lies in there is none: a child may
    /// use its parent's types, and a parent passes on its children's.
    pub fn circles(&self, files: &[File]) -> Vec<String> {
        let mut edges: BTreeMap<Vec<String>, BTreeSet<Vec<String>>> = BTreeMap::new();
        for mention in files.iter().flat_map(|file| &file.mentions).filter(|mention| !mention.is_test) {
            let Some((target, _)) = self.meant(mention) else { continue };
            let common = mention.module.iter().zip(&target).take_while(|(a, b)| a == b).count();
            if mention.module.len() > common && target.len() > common {
                edges.entry(mention.module[..=common].to_vec()).or_default().insert(target[..=common].to_vec());
            }
        }
        let round = |start: &Vec<String>| way(&edges, start).filter(|way| way.iter().min() == Some(start));
        let told = |way: Vec<Vec<String>>| way.iter().map(|module| module.join("::")).collect::<Vec<_>>().join(" → ");
        edges.keys().filter_map(round).map(|way| format!("modules import in a circle: {}", told(way))).collect()
    }
}

/// The shortest way from a module back to itself.
fn way(edges: &BTreeMap<Vec<String>, BTreeSet<Vec<String>>>, start: &Vec<String>) -> Option<Vec<Vec<String>>> {
    let mut seen = BTreeSet::new();
    let mut ways = vec![vec![start.clone()]];
    while !ways.is_empty() {
        let mut longer = vec![];
        for way in ways {
            for next in way.last().and_then(|last| edges.get(last)).into_iter().flatten() {
                let further = [way.as_slice(), std::slice::from_ref(next)].concat();
                if next == start {
                    return Some(further);
                }
                if seen.insert(next.clone()) {
                    longer.push(further);
                }
            }
        }
        ways = longer;
    }
    None
}
