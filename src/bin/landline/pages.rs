//! The demo's pages and static files: built in, and replaced by the files of a directory.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use landline::{Auth, Builder, Request, Response, Templates, get};

use crate::exit::{Exit, Failure};
use crate::whole_file;

const TEMPLATES: [(&str, &str); 8] = [
    ("base.html", include_str!("../../../templates/base.html")),
    ("connection.html", include_str!("../../../templates/connection.html")),
    ("index.html", include_str!("../../../templates/index.html")),
    ("echo_once.html", include_str!("../../../templates/echo_once.html")),
    ("echo.html", include_str!("../../../templates/echo.html")),
    ("rooms.html", include_str!("../../../templates/rooms.html")),
    ("chat.html", include_str!("../../../templates/chat.html")),
    ("admin.html", include_str!("../../../templates/admin.html")),
];

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// Files that are served as they are: name, content type, what is built in.
const FILES: [(&str, &str, &[u8]); 9] = [
    ("landline.js", SCRIPT, include_bytes!("../../../templates/landline.js")),
    ("line.js", SCRIPT, include_bytes!("../../../templates/line.js")),
    ("chat.js", SCRIPT, include_bytes!("../../../templates/chat.js")),
    // What pages of django-websocket-redis use to connect.
    ("ws4redis.js", SCRIPT, include_bytes!("../../../templates/ws4redis.js")),
    ("landline.css", STYLE, include_bytes!("../../../templates/landline.css")),
    ("chat.css", STYLE, include_bytes!("../../../templates/chat.css")),
    ("admin.js", SCRIPT, include_bytes!("../../../templates/admin.js")),
    ("admin.css", STYLE, include_bytes!("../../../templates/admin.css")),
    (ICON, "image/svg+xml", include_bytes!("../../../templates/landline.svg")),
];

/// The file that stands in the corner of a browser's tab.
const ICON: &str = "landline.svg";

/// Only this server's own files may act on a page, and nobody may frame it.
const POLICY: &str = "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; \
     base-uri 'none'; object-src 'none'; frame-ancestors 'none'; form-action 'self'";

/// A file that is served as it is.
#[derive(Debug)]
struct StaticFile {
    content_type: &'static str,
    data: Arc<[u8]>,
}

/// What the demo shows.
#[derive(Clone, Debug)]
pub(crate) struct Pages {
    pub(crate) templates: Templates,
    pub(crate) files: Files,
}

/// The files that are served as they are, in the order of [`FILES`]; shared by all clones.
#[derive(Clone, Debug)]
pub(crate) struct Files(Arc<Mutex<Arc<[StaticFile]>>>);

impl Files {
    fn current(&self) -> Arc<[StaticFile]> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes over from others what is served from now on.
    pub(crate) fn reload(&self, from: &Self) {
        let files = from.current();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = files;
    }

    /// Adds them to a server.
    pub(crate) fn serve(&self, mut builder: Builder) -> Builder {
        for (name, file) in self.routes() {
            // Scripts and styles are no secrets, and the page for operators needs them too.
            if name == ICON {
                let icon = get(file.clone()).authenticate(Auth::open());
                builder = builder.route("/favicon.ico", icon);
            }
            let file = get(file).authenticate(Auth::open());
            builder = builder.route(format!("/static/{name}"), file);
        }
        builder
    }

    /// Each name with what answers for it.
    fn routes(
        &self,
    ) -> impl Iterator<Item = (&'static str, impl Fn(&Request) -> Response + Clone + use<>)> {
        FILES.iter().enumerate().map(|(at, (name, _, _))| {
            let files = self.clone();
            (*name, move |_: &Request| files.current()[at].response())
        })
    }
}

impl Pages {
    /// Takes the built-in files, or those of the same name in `directory`.
    ///
    /// # Blocking
    /// Reads the directory whole; it is not looked at again.
    ///
    /// # Errors
    /// A file that cannot be read, a template with a syntax error.
    pub(crate) fn load(directory: Option<&Path>) -> Result<Self, Failure> {
        let mut templates = Templates::new();
        for (name, source) in TEMPLATES {
            templates = templates.with_source(name, source)?;
        }
        if let Some(directory) = directory {
            templates = templates.with_directory(directory)?;
        }
        let files = FILES.into_iter().map(|(name, content_type, built_in)| {
            StaticFile::load(directory, name, content_type, built_in)
        });
        let files = files.collect::<Result<Arc<[StaticFile]>, Failure>>()?;
        Ok(Self { templates, files: Files(Arc::new(Mutex::new(files))) })
    }
}

impl StaticFile {
    fn load(
        directory: Option<&Path>,
        name: &str,
        content_type: &'static str,
        built_in: &'static [u8],
    ) -> Result<Self, Failure> {
        let path = directory.map(|directory| directory.join(name));
        let data = match path.as_ref().map(whole_file::read) {
            Some(Ok(data)) => data.into(),
            None => built_in.into(),
            Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => built_in.into(),
            Some(Err(error)) => {
                let what = format!("cannot read {}", path.unwrap_or_default().display());
                return Err(Failure::io(Exit::Config, &what, &error));
            }
        };
        Ok(Self { content_type, data })
    }

    fn response(&self) -> Response {
        Response::bytes(self.content_type, &*self.data).with_header("Cache-Control", "no-cache")
    }
}

/// The names of everything a directory can replace.
#[cfg(test)]
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let templates = TEMPLATES.iter().map(|(name, _)| *name);
    templates.chain(FILES.iter().map(|(name, _, _)| *name))
}

/// Adds the headers of a page: what it may load, and that a new version is seen at once.
pub(crate) fn guarded(page: Response) -> Response {
    page.with_header("Content-Security-Policy", POLICY)
        .with_header("Referrer-Policy", "no-referrer")
        .with_header("Cache-Control", "no-cache")
}
