//! Rules and events.

use std::path::{Path, PathBuf};
use std::{env, fs};

use serde_json::{Map, Value, json};
use serde_yaml::Value as Yaml;

use crate::engine::RuleFile;

/// The files of the test data.
pub struct Data {
    corpora: PathBuf,
    fixtures: PathBuf,
}

/// Recorded events and the ids of the rules that match each.
pub struct Set {
    /// The events, in ECS.
    pub events: Vec<Value>,
    /// For each event the rules that match it.
    pub golden: Vec<Vec<String>>,
}

impl Data {
    /// Where the environment says that it is.
    pub fn find() -> Option<Self> {
        Some(Self {
            corpora: env::var_os("PEEWIT_CORPORA")?.into(),
            fixtures: env::var_os("PEEWIT_FIXTURES")?.into(),
        })
    }

    /// Rule files of one kind, in an order in which neighbours have nothing in common.
    pub fn rules(&self, folder: &str, extension: &str) -> Vec<RuleFile> {
        let entries = fs::read_dir(self.corpora.join(folder)).expect("a folder of rules");
        let mut paths: Vec<PathBuf> = entries
            .map(|entry| entry.expect("a folder's entry").path())
            .filter(|path| path.extension().is_some_and(|other| other == extension))
            .collect();
        paths.sort();
        // A prime number of steps comes past every one.
        let order = (0..paths.len()).map(|place| &paths[place * 37 % paths.len()]);
        order.map(|path| rule_file(path)).collect()
    }

    /// A set of events with its verdicts.
    pub fn set(&self, name: &str) -> Set {
        let events = lines(&self.fixtures.join(format!("{name}.ndjson")));
        let verdicts = lines(&self.fixtures.join(format!("{name}.verdicts.ndjson")));
        let ids = |verdict: &Value| {
            let rules = verdict["rules"].as_array().expect("an array of rule ids");
            let ids = rules
                .iter()
                .map(|id| id.as_str().expect("an id").to_owned());
            ids.collect()
        };
        let golden: Vec<Vec<String>> = verdicts.iter().map(ids).collect();
        assert_eq!(
            events.len(),
            golden.len(),
            "{name}: a verdict for each event"
        );
        Set { events, golden }
    }
}

fn rule_file(path: &Path) -> RuleFile {
    RuleFile {
        path: path.to_path_buf(),
        text: fs::read_to_string(path).expect("a rule file"),
    }
}

fn lines(path: &Path) -> Vec<Value> {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// An event in the flat form that Sigma's process rules are written for.
pub fn sigma_names(ecs: &Value) -> Value {
    let names = [
        ("Image", "/process/executable"),
        ("CommandLine", "/process/command_line"),
        ("ParentImage", "/process/parent/executable"),
        ("ParentCommandLine", "/process/parent/command_line"),
        ("CurrentDirectory", "/process/working_directory"),
        ("User", "/user/name"),
        ("LogonId", "/process/logon_id"),
    ];
    let fields = names
        .into_iter()
        .filter_map(|(name, place)| Some((name.to_owned(), ecs.pointer(place)?.clone())));
    Value::Object(fields.collect::<Map<_, _>>())
}

/// An exec with this command line.
pub fn exec(command_line: &str) -> Value {
    let args: Vec<&str> = command_line.split(' ').collect();
    json!({
        "host": {"os": {"type": "linux"}},
        "event": {"kind": "event", "category": ["process"], "type": ["start"], "action": "exec"},
        "user": {"name": "edge", "id": "1000"},
        "process": {
            "pid": 4242, "executable": "/usr/bin/bash", "name": "bash", "args_count": args.len(), "args": args,
            "command_line": command_line, "working_directory": "/srv",
            "parent": {
                "pid": 4000, "executable": "/usr/bin/dash", "name": "dash", "args": ["sh", "-c", "run"],
                "args_count": 3, "command_line": "sh -c run",
            },
        },
    })
}

/// `rules`, and copies of them with other values, until there are `count`. The files are written to `folder`.
pub fn multiplied(rules: &[RuleFile], count: usize, folder: &Path) -> Vec<RuleFile> {
    let copies = (0..count).map(|place| match place / rules.len() {
        0 => rules[place].clone(),
        copy => {
            let path = folder.join(format!("{place}.yml"));
            let text = varied(&rules[place % rules.len()].text, copy);
            fs::write(&path, &text).expect("a writable folder");
            RuleFile { path, text }
        }
    });
    copies.collect()
}

/// A Sigma rule with another id, and with other values in its selections.
fn varied(text: &str, copy: usize) -> String {
    let mut rule: Yaml = serde_yaml::from_str(text).expect("YAML");
    let id = rule["id"].as_str().expect("an id").to_owned();
    rule["id"] = format!("{copy:08x}{}", &id[8..]).into();
    let detection = rule["detection"].as_mapping_mut().expect("a detection");
    for (name, selection) in detection.iter_mut() {
        if name != "condition" {
            vary(selection, copy);
        }
    }
    serde_yaml::to_string(&rule).expect("YAML")
}

fn vary(value: &mut Yaml, copy: usize) {
    match value {
        Yaml::String(text) => text.push_str(&format!("{copy}~")),
        Yaml::Sequence(values) => values.iter_mut().for_each(|value| vary(value, copy)),
        Yaml::Mapping(fields) => fields.iter_mut().for_each(|(_, value)| vary(value, copy)),
        _ => {}
    }
}

/// Hand-written rules whose patterns are much work for those who search by trying.
pub fn adversarial_rules(folder: &Path) -> Vec<RuleFile> {
    let rules = [
        ("contains: '*a*b*a*b*c'", "CommandLine: '*a*b*a*b*c'"),
        ("stars", "CommandLine: '*a*a*a*a*a*a*a*b'"),
        (
            "suffix",
            "CommandLine|endswith: 'aaaaaaaaaaaaaaaaaaaaaaaab'",
        ),
        (
            "contains",
            "CommandLine|contains: 'aaaaaaaaaaaaaaaaaaaaaaaab'",
        ),
        ("question marks", "CommandLine|contains: 'a??????????????b'"),
        ("regex", "CommandLine|re: '(a|aa)+b$'"),
    ];
    let files = rules.into_iter().enumerate().map(|(place, (title, item))| {
        let path = folder.join(format!("adversarial-{place}.yml"));
        let text = format!(
            "title: \"{title}\"\nid: ad000000-0000-4000-8000-00000000000{place}\nlevel: low\n\
             logsource:\n  category: process_creation\n  product: linux\n\
             detection:\n  selection:\n    {item}\n  condition: selection\n"
        );
        fs::write(&path, &text).expect("a writable folder");
        RuleFile { path, text }
    });
    files.collect()
}

/// What the rules' selections look for in command lines, each without its last character. Rules with long lists are
/// spread over the whole.
pub fn near_words(rules: &[RuleFile]) -> Vec<String> {
    let mut words = Vec::new();
    for rule in rules {
        let rule: Yaml = serde_yaml::from_str(&rule.text).expect("YAML");
        collect(&rule["detection"], &mut words);
    }
    // A prime number of steps comes past every one.
    let order = (0..words.len()).map(|place| words[place * 7919 % words.len()].clone());
    order.collect()
}

fn collect(value: &Yaml, words: &mut Vec<String>) {
    match value {
        Yaml::Sequence(values) => values.iter().for_each(|value| collect(value, words)),
        Yaml::Mapping(fields) => {
            for (name, value) in fields {
                if let (Some(name), Yaml::String(text)) = (name.as_str(), value)
                    && name.starts_with("CommandLine")
                {
                    words.push(without_last(text));
                } else if let (Some(name), Yaml::Sequence(values)) = (name.as_str(), value)
                    && name.starts_with("CommandLine")
                {
                    let texts = values.iter().filter_map(Yaml::as_str);
                    words.extend(texts.map(without_last));
                } else {
                    collect(value, words);
                }
            }
        }
        _ => {}
    }
}

fn without_last(text: &str) -> String {
    let mut text = text.to_owned();
    text.pop();
    text
}
