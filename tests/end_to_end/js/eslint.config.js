// What eslint finds in all JavaScript of the project: above all, names that are not defined and names that nothing uses.

import js from "@eslint/js";
import globals from "globals";

const rules = {
  ...js.configs.recommended.rules,
  "array-callback-return": "error",
  eqeqeq: "error",
  "no-constructor-return": "error",
  "no-duplicate-imports": "error",
  // File signatures have control characters.
  "no-control-regex": "off",
  "no-self-compare": "error",
  "no-template-curly-in-string": "error",
  "no-unreachable-loop": "error",
  "no-unused-expressions": ["error", { allowShortCircuit: true, allowTernary: true }],
  // `{ limit, ...query }` takes something away.
  "no-unused-vars": ["error", { ignoreRestSiblings: true }],
  "no-use-before-define": ["error", { functions: false, classes: false, variables: false }],
  "no-var": "error",
  "prefer-const": "error",
};

export default [
  { ignores: ["**/node_modules/", "api/web/vendor/", ".venv/", ".daveslist/"] },
  { linterOptions: { reportUnusedDisableDirectives: "error" } },
  // What runs in Node names its globals, or imports them; the page and its client run in browsers, and some in both.
  { files: ["api/**/*.js", "clients/**/*.js"], rules, languageOptions: { globals: globals.browser } },
  { files: ["tests/**/*.{js,mjs}"], rules, languageOptions: { globals: { ...globals.browser, ...globals.node } } },
];
