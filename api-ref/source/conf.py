"""How Sphinx builds the API reference."""

project = 'allotment'
html_title = 'Placement API, by allotment'
copyright = ''

extensions = ['os_api_ref', 'openstackdocstheme']
root_doc = 'index'
highlight_language = 'text'

# What is included is no page of its own.
exclude_patterns = ['operations', 'samples']

html_theme = 'openstackdocs'
html_theme_options = {
    'sidebar_mode': 'toctree',
    'sidebar_search': True,
    'display_badge': False,
    # Nothing is loaded from elsewhere.
    'analytics_tracking_code': '',
}
# Our own header and footer: OpenStack's lead to OpenStack's site and search there.
templates_path = ['_templates']
html_static_path = ['_static']
html_css_files = ['allotment.css']
html_js_files = ['allotment.js']
html_favicon = '_static/favicon.svg'
html_copy_source = False
# Nothing is put into an index.
html_use_index = False
html_show_sphinx = False

openstackdocs_auto_name = False
openstackdocs_auto_version = False
openstackdocs_pdf_link = False
openstackdocs_repo_name = 'allotment'
openstackdocs_bug_project = ''

# The selector of microversions, on each page with operations.
os_api_ref_min_microversion = '1.0'
os_api_ref_max_microversion = '1.39'
