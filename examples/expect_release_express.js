// Express middleware for `Expect-Release`: the expected release serves a request, or nothing does.
//
// app.use(expectRelease({ release: process.env.RELEASE, commit: process.env.GIT_SHA }));
'use strict';

module.exports = function expectRelease({ release, commit }) {
  function matches(expected) {
    if (expected === 'unknown') return false;
    const isPrefix = /^[0-9a-f]{7,}$/i.test(expected);
    return (
      expected === release ||
      (isPrefix && Boolean(commit) && commit.toLowerCase().startsWith(expected.toLowerCase()))
    );
  }

  function reject(res, status, code, title, detail) {
    const problem = { type: `urn:petsage:problem:${code}`, title, status, detail, code };
    res.status(status).type('application/problem+json').send(JSON.stringify(problem));
  }

  return function checkRelease(req, res, next) {
    res.vary('Expect-Release'); // so that no cache responds for another release
    const expected = req.headers['expect-release'];
    if (expected === undefined) return next();
    // Node joins a repeated header with a comma, which no release contains.
    if (!expected || expected.includes(',')) {
      return reject(res, 400, 'bad-request', 'Bad request', 'Expect one release, in one header.');
    }
    if (matches(expected)) return next();
    res.set('Retry-After', '1');
    const detail = 'Another release responds here.';
    return reject(res, 412, 'release-mismatch', 'Release mismatch', detail);
  };
};
