// An operation's details are folded away. Whoever follows a link into them wants to see them.
(function () {
  function unfold() {
    var target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) {
      return;
    }
    // The anchor of an operation is its heading line, of which the details are the next sibling.
    var details = target.closest('.api-detail') || document.getElementById(target.id + '-detail');
    if (details && !details.classList.contains('show')) {
      details.addEventListener('shown.bs.collapse', function () {
        (target === details ? details.previousElementSibling : target).scrollIntoView();
      }, {once: true});
      bootstrap.Collapse.getOrCreateInstance(details, {toggle: false}).show();
    }
  }
  window.addEventListener('load', unfold);
  window.addEventListener('hashchange', unfold);
})();
